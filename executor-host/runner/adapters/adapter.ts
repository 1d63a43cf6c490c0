/**
 * The contract between a run and what drives it. An adapter knows one provider and nothing about HTTP, spools or
 * deadlines; the run knows all of those and no provider.
 *
 * An adapter
 *  - emits AI SDK UI message chunks in the order in which things happened: parts are opened before they are extended,
 *    a tool's output comes after its input; no `start`, `finish` or `error` chunks (the run says how it ended);
 *  - answers a failure it can name, and throws only what is a defect of its own;
 *  - ends soon after `signal` fires, whatever it is doing, and answers anything then: the run knows why it stopped;
 *  - starts programs only through `spawn`, so that they can be ended.
 */
import type { ChildProcess, SpawnOptions } from "node:child_process";
import type { UIMessageChunk } from "ai";
import type { Todo, Usage } from "#protocol/events.ts";
import type { ProviderRunStart } from "#protocol/runner-api.ts";
import type { Provider } from "#protocol/vocabulary.ts";
import type { Question, Resolution } from "../broker.ts";
import type { Clock } from "../clock.ts";
import type { Failure } from "../failure.ts";

/** Tokens and money; the run adds the duration. `inputTokens` counts all input, cache reads and writes included. */
export type ProviderUsage = Partial<Omit<Usage, "durationMs">>;

export type AdapterEnd = { ok: true } | ({ ok: false } & Failure);

export type AdapterContext = {
  readonly clock: Clock;
  /** Fires when the run is to stop: cancelled or timed out. */
  readonly signal: AbortSignal;
  /** `http://127.0.0.1:PORT/provider/<provider>`: the way to the model, key added on the host. Undefined: no way out. */
  readonly providerUrl: string | undefined;
  emit(chunk: UIMessageChunk): void;
  /** The whole list as it is now. */
  todos(items: Todo[]): void;
  /** The provider's name for this conversation, as soon as it is known. */
  conversation(conversationId: string): void;
  /** One line for people about what is going on, or what was left out. */
  note(detail: string): void;
  /** One line about what this run cannot do as it was meant to; it stays with the run. */
  warn(detail: string): void;
  /** What the run has used up to now; the last call counts. */
  usage(usage: ProviderUsage): void;
  ask(question: Question): Promise<Resolution>;
  /**
   * Starts a program in a process group of its own, with `env` and nothing else from the runner's environment.
   * @throws never for a missing program: that is the child's `error` event, as with node:child_process
   */
  spawn(
    command: string,
    args: readonly string[],
    options: SpawnOptions & { cwd: string; env: NodeJS.ProcessEnv },
  ): ChildProcess;
  /** A started program stays for the next run: this one neither waits for it nor ends it, only what it has started. */
  release(child: ChildProcess): void;
  /** Takes over what an earlier run released; it ends with this run like any other, unless it is released again. */
  adopt(child: ChildProcess): void;
};

export type AdapterReadiness = { ready: true; version?: string } | { ready: false; failure: Failure };

export interface Adapter {
  readonly provider: Provider;
  /** Whether this provider can be driven here and now, found out without starting it. */
  readiness(): AdapterReadiness;
  run(input: ProviderRunStart, context: AdapterContext): Promise<AdapterEnd>;
  /** Ends what was kept for a next run. Called when the runner leaves, after its runs have ended. */
  close?(): void;
}
