/**
 * What agents say of a model that does not answer. The protocol itself has no words for that; each agent has its own:
 *
 *   codex-acp   an extension, which a client has to ask for: without it, a refused request is told as the assistant's own
 *               words at the end of a turn that looks like any other
 *   opencode    its log, one line per failed request; it goes on trying for more than a minute
 */
import { classify, evidenceOf, type Failure } from "../../failure.ts";

/** In the client's capabilities: asks for `sessionFailure` in the `_meta` of a turn's end and of updates. */
export const ASKS_FOR_FAILURES = { jetbrains: { air: { version: 1, capabilities: ["sessionFailure"] } } };

/** `warning`: it goes on trying. `category` is one of a few words of the extension's, `title` is for people. */
export type ToldFailure = { severity?: string; category?: string; title?: string };
export type Meta = { jetbrains?: { air?: { sessionFailure?: ToldFailure | null } | null } | null };

/** What an agent's categories mean where its words say nothing. */
const CATEGORIES: Readonly<Record<string, Failure["reason"]>> = {
  access: "auth_rejected",
  limit: "rate_limited",
  connection: "overloaded",
  service: "overloaded",
};

export function toldFailure(meta: Meta | null | undefined): ToldFailure | undefined {
  return meta?.jetbrains?.air?.sessionFailure ?? undefined;
}

/** The failure that ended a turn; undefined when there was none, or none that was the end. */
export function endOf(told: ToldFailure | undefined): Failure | undefined {
  if (told?.severity !== "error") return undefined;
  const words = told.title || "The agent names no reason.";
  return named(words, CATEGORIES[told.category ?? ""] ?? "internal");
}

/** A request of OpenCode's that failed, in its own words; its side jobs (titles) do not count. */
export function opencodeTrouble(line: string): string | undefined {
  if (line.includes(" small=true ")) return undefined;
  return /message="stream error".* error\.error="((?:[^"\\]|\\.)*)"/.exec(line)?.[1];
}

/** More is not waited for: the pauses between the tries grow. */
const RETRIES = 2;

/** The model's failed requests in a row, of an agent that does not give up by itself. */
export class Attempts {
  readonly #gaveUp = Promise.withResolvers<Failure>();
  #failed = 0;

  /** Resolves when the model has not answered often enough. */
  get gaveUp(): Promise<Failure> {
    return this.#gaveUp.promise;
  }

  failed(words: string): void {
    // An agent tries again only what may work then.
    if (++this.#failed > RETRIES) this.#gaveUp.resolve(named(words, "overloaded"));
  }

  /** A step was done: the next request is another one. */
  progressed(): void {
    this.#failed = 0;
  }
}

function named(words: string, otherwise: Failure["reason"]): Failure {
  const reason = classify(words);
  return { reason: reason === "internal" ? otherwise : reason, evidence: evidenceOf(words) };
}
