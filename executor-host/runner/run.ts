/**
 * One run's life in the runner.
 *
 *   running ──► adapter ends ──────────────────────────────► finished (succeeded | failed)
 *      └─ stop (cancelled) or deadline (timed_out; stands still while a person is asked) ─► ending
 *             0 s   people's requests closed, adapter interrupted
 *             5 s   SIGTERM to every process of the run
 *            10 s   SIGKILL to every process of the run
 *            11 s   finished, even if the adapter does not come back
 *
 * `ending` becomes `finished` as soon as the adapter has returned and its programs have exited: nothing of a run writes
 * to the workspace after its run.finished.
 */
import { agentName, capabilitiesOf } from "#protocol/capabilities.ts";
import type { HumanLoopReply, RunFinishedData, Usage } from "#protocol/events.ts";
import type { ProviderRunStart } from "#protocol/runner-api.ts";
import type { Adapter, AdapterContext, AdapterEnd, ProviderUsage } from "./adapters/adapter.ts";
import { Broker, type ReplyOutcome } from "./broker.ts";
import { type Clock, pause } from "./clock.ts";
import { Deadline } from "./deadline.ts";
import { evidenceOf, messageOf } from "./failure.ts";
import type { Grants } from "./grants.ts";
import { Processes } from "./processes.ts";
import { Recorder } from "./recorder.ts";
import type { Spool } from "./spool.ts";

export const STOP_LADDER = { terminateAfterMs: 5_000, killAfterMs: 10_000, giveUpAfterMs: 11_000 } as const;

/** How long a program may take to leave after its adapter has everything it wanted. */
const LEAVE_MS = 5_000;

const TOO_MUCH: RunFinishedData = {
  outcome: "failed",
  reason: "container_failed",
  evidence:
    "The run was stopped because it said more than a run may say; a program it started may be printing without end.",
};

const NO_ROOM: RunFinishedData = {
  outcome: "failed",
  reason: "container_failed",
  evidence: "The host's disk was full, and the run said more than could be kept until there was room.",
};

const WORKER_LEAVES: RunFinishedData = {
  outcome: "failed",
  reason: "container_failed",
  evidence: "The worker was told to end while the run was active: its container engine, or its machine, was stopped.",
};

type Phase =
  | { name: "running" }
  | { name: "ending"; as: RunFinishedData; cancelLadder: () => void }
  | { name: "finished" };

export type RunNeeds = {
  clock: Clock;
  grants: Grants;
  /** The way to a provider's model, see AdapterContext. */
  providerUrl: string | undefined;
  /** Absent: SPOOL_MAX_BYTES. */
  spoolMaxBytes?: number;
};

export class Run {
  readonly spool: Spool;
  /** Resolves when run.finished is in the spool. */
  readonly finished: Promise<void>;
  readonly #clock: Clock;
  readonly #recorder: Recorder;
  readonly #broker: Broker;
  readonly #processes: Processes;
  readonly #interrupt = new AbortController();
  readonly #startedAt: number;
  readonly #deadline: Deadline;
  #phase: Phase = { name: "running" };
  #usage: ProviderUsage | undefined;
  #resolveFinished: () => void = () => {};

  /** Starts at once. `adapter` undefined: this runner does not know the provider. */
  constructor(spool: Spool, adapter: Adapter | undefined, needs: RunNeeds) {
    const input = spool.start;
    this.spool = spool;
    this.#clock = needs.clock;
    this.#startedAt = needs.clock.now();
    this.#recorder = new Recorder(spool, needs.clock, {
      tooMuch: () => this.#end(TOO_MUCH),
      maxBytes: needs.spoolMaxBytes,
      held: (state) => this.#standStill(state === "held"),
      overflow: () => this.#end(NO_ROOM),
    });
    this.#broker = new Broker(
      input.sessionId,
      needs.grants,
      (event) => {
        if (event.type !== "run.finished") this.#recorder.event(event);
      },
      (waiting) => (waiting ? this.#deadline.pause() : this.#deadline.goOn()),
      input.given,
    );
    this.#processes = new Processes(input.runId);
    this.finished = new Promise((resolve) => {
      this.#resolveFinished = resolve;
    });
    const evidence = `The run took longer than ${input.timeoutMs} ms, not counting what people took to answer.`;
    this.#deadline = new Deadline(this.#clock, input.timeoutMs, () =>
      this.#end({ outcome: "timed_out", reason: "timeout", evidence }),
    );
    this.#recorder.event({ type: "run.status", data: { state: "running" } });
    if (mustForget(input))
      this.#warn(`${input.provider} cannot go on with an earlier conversation; this run begins a new one.`);
    void this.#drive(input, adapter, this.#context(needs));
  }

  get state(): "running" | "waiting" | "finished" {
    if (this.#phase.name === "finished") return "finished";
    return this.#broker.waiting ? "waiting" : "running";
  }

  /** A person wants it to end. Idempotent; the end is run.finished { outcome: "cancelled" }. */
  stop(): void {
    this.#end({ outcome: "cancelled" });
  }

  /** Its worker is told to leave, and nobody had stopped the run: it is no cancellation that a person could have meant. */
  breakOff(): void {
    this.#end(WORKER_LEAVES);
  }

  reply(reply: HumanLoopReply): ReplyOutcome {
    return this.#broker.reply(reply);
  }

  async #drive(input: ProviderRunStart, adapter: Adapter | undefined, context: AdapterContext): Promise<void> {
    const end = await driven(input, adapter, context);
    // A program that does not leave after its work holds the run up only for a moment; one that is being ended is
    // waited for, and the ladder bounds that.
    const leaving = [this.#processes.empty()];
    if (this.#phase.name === "running")
      leaving.push(pause(this.#clock, LEAVE_MS, this.#interrupt.signal).then(() => {}));
    await Promise.race(leaving);
    if (this.#phase.name === "ending") {
      await this.#processes.empty();
      await this.#processes.killed();
    }
    this.#finish(toFinished(end));
  }

  #end(as: RunFinishedData): void {
    if (this.#phase.name !== "running") return;
    const steps = [
      this.#clock.after(STOP_LADDER.terminateAfterMs, () => this.#processes.signal("SIGTERM")),
      this.#clock.after(STOP_LADDER.killAfterMs, () => this.#processes.signal("SIGKILL")),
      this.#clock.after(STOP_LADDER.giveUpAfterMs, () => this.#finish(as)),
    ];
    const cancelLadder = () => {
      for (const cancel of steps) cancel();
    };
    this.#phase = { name: "ending", as, cancelLadder };
    this.#deadline.cancel();
    this.#broker.closeAll(as.outcome === "timed_out" ? "expired" : "cancelled");
    this.#interrupt.abort();
    // What stands still for want of room has to hear of its end.
    this.#processes.signal("SIGCONT");
  }

  /** Its programs say nothing more while nothing can be kept of it; a run that is being ended may leave. */
  #standStill(held: boolean): void {
    if (held) console.error(`runner: the disk is full, ${this.spool.start.runId} stands still`);
    if (!held || this.#phase.name === "running") this.#processes.signal(held ? "SIGSTOP" : "SIGCONT");
  }

  /** Says run.finished once. A run that was being ended ends as that, whatever its adapter says. */
  #finish(adapterSays: RunFinishedData): void {
    if (this.#phase.name === "finished") return;
    const ended = this.#phase.name === "ending" ? this.#phase : undefined;
    ended?.cancelLadder();
    this.#deadline.cancel();
    this.#phase = { name: "finished" };
    this.#broker.closeAll("cancelled");
    const data = ended?.as ?? adapterSays;
    // A background program of a run that succeeded may go on (a development server); of any other, nothing stays.
    if (data.outcome !== "succeeded") this.#processes.signal("SIGKILL");
    const evidence = data.evidence === undefined ? undefined : evidenceOf(data.evidence);
    void this.#recorder.finish({ ...data, evidence, usage: this.#finalUsage() }).then(this.#resolveFinished);
  }

  #finalUsage(): Usage | undefined {
    if (!this.#usage) return undefined;
    const zero = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };
    return { ...zero, ...this.#usage, durationMs: Math.max(0, this.#clock.now() - this.#startedAt) };
  }

  #context(needs: RunNeeds): AdapterContext {
    return {
      clock: this.#clock,
      signal: this.#interrupt.signal,
      providerUrl: needs.providerUrl,
      emit: (chunk) => this.#recorder.chunk(chunk),
      todos: (items) => this.#recorder.event({ type: "todo.update", data: { items } }),
      conversation: (conversationId) =>
        this.#recorder.event({ type: "run.status", data: { state: this.#statusState(), conversationId } }),
      note: (detail) =>
        this.#recorder.event({
          type: "run.status",
          data: { state: this.#statusState(), detail: detail.slice(0, 1_000) },
        }),
      warn: (detail) => this.#warn(detail),
      usage: (usage) => {
        this.#usage = usage;
      },
      ask: (question) => this.#broker.ask(question),
      spawn: (command, args, options) => this.#processes.spawn(command, args, options),
      release: (child) => this.#processes.release(child),
      adopt: (child) => this.#processes.adopt(child),
    };
  }

  #warn(detail: string): void {
    const data = { state: this.#statusState(), detail: detail.slice(0, 1_000), warning: true };
    this.#recorder.event({ type: "run.status", data });
  }

  #statusState(): "running" | "waiting" {
    return this.#broker.waiting ? "waiting" : "running";
  }
}

function toFinished(end: AdapterEnd): RunFinishedData {
  if (end.ok) return { outcome: "succeeded" };
  const { reason, evidence } = end;
  if (reason === "cancelled") return { outcome: "cancelled" };
  return { outcome: reason === "timeout" ? "timed_out" : "failed", reason, evidence };
}

/** Whether there is a conversation that this provider cannot go on with. A parked run's own answers it does get. */
function mustForget(input: ProviderRunStart): boolean {
  if (input.conversationId === undefined || input.given?.length) return false;
  return !capabilitiesOf(input.provider, agentName(input)).resume;
}

/** Runs the adapter. A thrown value is a defect of ours: the run fails as `internal`, with what was thrown. */
async function driven(
  input: ProviderRunStart,
  adapter: Adapter | undefined,
  context: AdapterContext,
): Promise<AdapterEnd> {
  if (!adapter) return { ok: false, reason: "cli_missing", evidence: `This runner cannot drive ${input.provider}.` };
  const readiness = adapter.readiness();
  if (!readiness.ready) return { ok: false, ...readiness.failure };
  try {
    return await adapter.run(input, context);
  } catch (error) {
    return { ok: false, reason: "internal", evidence: `The ${input.provider} adapter broke: ${messageOf(error)}` };
  }
}
