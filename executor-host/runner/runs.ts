/**
 * The runs of this runner: one active at a time, the finished ones readable until the container goes. Their spools are
 * found again when a runner starts in a place where another one died; what that one left unfinished is ended here, so
 * that every run has its run.finished.
 */
import { mkdirSync, readdirSync } from "node:fs";
import path from "node:path";
import type { HumanLoopReply } from "#protocol/events.ts";
import type { ProviderRunStart } from "#protocol/runner-api.ts";
import type { Provider } from "#protocol/vocabulary.ts";
import type { Adapter } from "./adapters/adapter.ts";
import type { ReplyOutcome } from "./broker.ts";
import type { Clock } from "./clock.ts";
import { Grants } from "./grants.ts";
import { Run } from "./run.ts";
import { Spool } from "./spool.ts";

/** Ids become file names here. */
const SAFE_ID = /^[A-Za-z0-9_-]{1,100}$/;

export type RunState = "running" | "waiting" | "finished";
export type StartOutcome =
  | { ok: true; state: RunState }
  | { ok: false; status: 400 | 409; reason: string; message: string };

export type RunsNeeds = {
  clock: Clock;
  spoolDir: string;
  adapters: ReadonlyMap<Provider, Adapter>;
  providerUrl: (provider: Provider) => string | undefined;
};

/** A run of this process, or what an earlier one left. */
type Entry = { spool: Spool; run?: Run };

export class Runs {
  readonly #needs: RunsNeeds;
  readonly #entries = new Map<string, Entry>();

  /** Reads the spools in `spoolDir`, which is made when it is not there. @throws when it cannot be used */
  constructor(needs: RunsNeeds) {
    this.#needs = needs;
    mkdirSync(needs.spoolDir, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(needs.spoolDir).filter((name) => name.endsWith(".jsonl"))) {
      const spool = Spool.reopen(path.join(needs.spoolDir, name));
      if (!spool) continue;
      if (!spool.finished) endAbandoned(spool);
      this.#entries.set(spool.start.runId, { spool });
    }
  }

  /** Starts a run. The same order again gets the answer that fits now; another order under the same id is refused. */
  start(order: ProviderRunStart): StartOutcome {
    if (!SAFE_ID.test(order.runId) || !SAFE_ID.test(order.sessionId))
      return refused(400, "bad_request", "Ids may have letters, digits, _ and -, up to 100.");
    const known = this.#entries.get(order.runId);
    if (known) {
      return isDeepEqual(known.spool.start, order)
        ? { ok: true, state: stateOf(known) }
        : refused(409, "run_conflict", "This run was started before with another body.");
    }
    const active = [...this.#entries.values()].find((entry) => stateOf(entry) !== "finished");
    if (active) return refused(409, "run_active", `The run ${active.spool.start.runId} is still active.`);
    const { clock, spoolDir, adapters, providerUrl } = this.#needs;
    const run = new Run(
      Spool.create(path.join(spoolDir, `${order.runId}.jsonl`), order),
      adapters.get(order.provider),
      {
        clock,
        grants: new Grants(path.join(spoolDir, `grants-${order.sessionId}.json`)),
        providerUrl: providerUrl(order.provider),
      },
    );
    this.#entries.set(order.runId, { spool: run.spool, run });
    return { ok: true, state: run.state };
  }

  spool(runId: string): Spool | undefined {
    return this.#entries.get(runId)?.spool;
  }

  /** Asks a run to end. Answers the state it is in now, undefined when there is no such run. */
  stop(runId: string): RunState | undefined {
    const entry = this.#entries.get(runId);
    entry?.run?.stop();
    return entry && stateOf(entry);
  }

  /** Undefined when there is no such run. */
  reply(runId: string, reply: HumanLoopReply): ReplyOutcome | undefined {
    const entry = this.#entries.get(runId);
    if (!entry) return undefined;
    if (!entry.run)
      return { ok: false, status: 409, reason: "already_answered", message: "The runner that asked this is gone." };
    return entry.run.reply(reply);
  }

  list(): { runId: string; state: RunState; lastN: number }[] {
    return [...this.#entries].map(([runId, entry]) => ({ runId, state: stateOf(entry), lastN: entry.spool.lastN }));
  }

  /** The runner is told to leave: ends whatever is active, and what adapters keep for a next run. Resolves when the runs have ended. */
  async stopAll(): Promise<void> {
    const runs = [...this.#entries.values()].flatMap(({ run }) => (run ? [run] : []));
    for (const run of runs) run.breakOff();
    await Promise.all(runs.map((run) => run.finished));
    for (const adapter of this.#needs.adapters.values()) adapter.close?.();
  }
}

function stateOf({ run }: Entry): RunState {
  return run?.state ?? "finished";
}

function endAbandoned(spool: Spool): void {
  const evidence = "The runner ended while this run was active. Start it again; the workspace is as it was left.";
  spool.append({ type: "run.finished", data: { outcome: "failed", reason: "container_failed", evidence } });
}

function refused(status: 400 | 409, reason: string, message: string): StartOutcome {
  return { ok: false, status, reason, message };
}

/** Compares as JSON does: the order of keys and absent values do not matter. */
function isDeepEqual(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === "object" && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
