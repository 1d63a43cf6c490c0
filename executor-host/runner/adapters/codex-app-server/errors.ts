/** What Codex says of an error of the model's, as one of the reasons that people know. Pure. */
import { classify, evidenceOf, type Failure } from "../../failure.ts";

export type CodexError = { message?: string; codexErrorInfo?: unknown; additionalDetails?: string | null };

/** Codex's own words for what would have been a status. */
const STATUS: Readonly<Record<string, number>> = {
  unauthorized: 401,
  modelNotFound: 404,
  rateLimitExceeded: 429,
  usageLimitExceeded: 429,
  sessionBudgetExceeded: 429,
  internalServerError: 500,
  serverOverloaded: 529,
  flexUnavailable: 529,
  policyCapacityUnavailable: 529,
};

/** The HTTP status behind an error, where it had one. */
export function statusOf({ codexErrorInfo: info }: CodexError): number | undefined {
  if (typeof info === "string") return STATUS[info];
  if (typeof info !== "object" || info === null) return undefined;
  const [detail] = Object.values(info) as ({ httpStatusCode?: number | null } | null)[];
  return detail?.httpStatusCode ?? undefined;
}

export function failureOf(error: CodexError): Failure {
  const words = [error.message, error.additionalDetails].filter(Boolean).join("\n") || "an error without words";
  const hint = error.codexErrorInfo === "contextWindowExceeded" ? "context window" : "";
  return { reason: classify(`${words} ${hint}`, statusOf(error)), evidence: evidenceOf(words) };
}
