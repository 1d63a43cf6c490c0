/** From what a provider said last to one of the reasons that people and retries know. A table, tried in order. */
import type { FailureReason } from "#protocol/vocabulary.ts";
import { cutText } from "./bounds.ts";
import { redact } from "./redact.ts";

const EVIDENCE_BYTES = 3_800;

/** A failure that was foreseen: the adapter answers it, it does not throw it. */
export type Failure = { reason: FailureReason; evidence: string };

type Row = { reason: FailureReason; status?: readonly number[]; words?: RegExp };

/** Words are only asked where the status says nothing: they come from many programs and change without notice. */
const TABLE: readonly Row[] = [
  // The host's egress proxy in the vendor's shape: it has no key to add.
  { reason: "auth_missing", words: /\b(?:auth_missing|misconfigured): / },
  {
    reason: "context_exceeded",
    words: /prompt is too long|context (?:length|window)|maximum context|too many tokens/i,
  },
  {
    reason: "model_not_found",
    words:
      /model[_ ]not[_ ]found|no such model|unknown model|model.{0,80}(?:does not exist|may not exist|not available)|invalid model/i,
  },
  { reason: "auth_rejected", status: [401, 403] },
  { reason: "rate_limited", status: [429] },
  { reason: "overloaded", status: [500, 502, 503, 504, 529] },
  { reason: "model_not_found", status: [404] },
  // Nobody of ours: the kernel, when memory ran out.
  { reason: "container_failed", words: /(?:terminated|killed) by signal/i },
  {
    reason: "cli_missing",
    words: /\bENOENT\b|executable not found|command not found|no such file or directory.*(?:claude|codex|opencode)/i,
  },
  { reason: "auth_missing", words: /not logged in|no api key|missing api key|please run \/login/i },
  {
    reason: "auth_rejected",
    words: /invalid.{0,12}api.?key|authentication|unauthorized|forbidden|permission_error|\b40[13]\b/i,
  },
  { reason: "rate_limited", words: /rate.?limit|too many requests|quota|\b429\b/i },
  { reason: "model_not_found", words: /\b404\b/ },
  {
    reason: "overloaded",
    words:
      /overloaded|\b5(?:00|02|03|04|29)\b|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|fetch failed|connection (?:error|refused|closed|reset)|socket (?:hang up|connection was closed)|other side closed|\baborted\b|stream (?:closed|ended|disconnected)|unable to connect/i,
  },
];

/**
 * @param words the provider's last words
 * @param status the HTTP status of the model server's last answer, where it is known
 */
export function classify(words: string, status?: number): FailureReason {
  const row = TABLE.find((row) => (status !== undefined && row.status?.includes(status)) || row.words?.test(words));
  return row?.reason ?? "internal";
}

/** Words as they may leave the runner: redacted and bounded. */
export function evidenceOf(words: string): string {
  return cutText(redact(words.trim()), EVIDENCE_BYTES);
}

/** What a thrown value says about itself. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
