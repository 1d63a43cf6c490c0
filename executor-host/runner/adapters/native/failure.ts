/** What the AI SDK throws, as a failure of the run. */
import { APICallError, RetryError } from "ai";
import { classify, evidenceOf, type Failure, messageOf } from "../../failure.ts";

export function failureOf(thrown: unknown): Failure {
  const error = RetryError.isInstance(thrown) ? thrown.lastError : thrown;
  const said = APICallError.isInstance(error) ? error.responseBody : undefined;
  const status = APICallError.isInstance(error) ? error.statusCode : undefined;
  const words = [...causes(error), said].filter(Boolean).join("\n");
  return { reason: classify(words, status), evidence: evidenceOf(words) };
}

/** A broken connection says why only in what caused it. */
function causes(error: unknown): string[] {
  const words: string[] = [];
  for (let at = error, depth = 0; at !== undefined && at !== null && depth < 5; depth++) {
    words.push(messageOf(at));
    at = at instanceof Error ? at.cause : undefined;
  }
  return words;
}
