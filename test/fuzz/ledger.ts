/**
 * What the checker itself has seen: each session's log, read from its disk as it grows and folded beside the object; who was
 * asked and answered what; what was really carried out where. Invariants that concern one happening are checked here.
 */
import type { HumanLoopReply, SessionEvent } from "#protocol/events.ts";
import type { RunStart } from "#protocol/messages.ts";
import type { CommitSnapshot, Result } from "#protocol/objects.ts";
import { applyEvent, emptyView, runById, type SessionView } from "#protocol/session-view.ts";
import type { RunState } from "#protocol/vocabulary.ts";
import type { LeaseDisk } from "./host-lease.ts";
import type { Page } from "./page.ts";
import type { SessionNode } from "./session-node.ts";
import type { World } from "./world.ts";

type LogRow = { seq: number; first: number; epoch: number | null; taken: number | null; events: string };

type Watched = { instance: unknown; disk: { changes: number } };

/** One session as its log tells it. */
export class Told {
  view: SessionView;
  /** Folds at every cursor that a page may ask about, newest last. */
  readonly folds = new Map<number, SessionView>();
  readonly finished = new Map<string, number>();
  readonly prompts = new Map<string, string>();
  readonly resolved = new Map<string, number>();
  readonly cancelling = new Set<string>();
  /** By epoch, the last message of a host that brought events. */
  readonly taken = new Map<number, number>();

  constructor(sessionId: string) {
    this.view = emptyView(sessionId);
  }
}

/** From which state to which a run may go; "finished" is told by run.finished (S-7). */
const MOVES: Record<RunState, readonly RunState[]> = {
  queued: ["queued", "assigned"],
  assigned: ["assigned", "preparing", "running", "waiting", "cancelling", "queued"],
  preparing: ["preparing", "running", "waiting", "cancelling", "queued"],
  running: ["running", "waiting", "cancelling", "queued"],
  waiting: ["waiting", "running", "cancelling", "queued"],
  cancelling: ["cancelling"],
  finished: [],
};

export class Ledger {
  readonly #world: World;
  readonly told = new Map<string, Told>();
  readonly #answers = new Map<string, string>();
  readonly #prompts = new Map<string, SessionNode>();
  readonly #executions = new Map<string, string>();
  readonly #replies = new Map<string, string>();
  readonly #epochs = new Map<string, Map<number, string>>();
  readonly #seen = new Map<Watched, { instance: unknown; changes: number }>();
  readonly #redrives = new Map<string, string>();
  readonly #spoken = new Map<string, number>();
  readonly #heard = new Map<string, number>();
  /** Runs that were carried out again after an earlier attempt had begun: they had all asked for it. */
  repeatedOnWish = 0;

  constructor(world: World) {
    this.#world = world;
  }

  of(session: SessionNode): Told {
    let told = this.told.get(session.sessionId);
    if (!told) {
      told = new Told(session.sessionId);
      this.told.set(session.sessionId, told);
    }
    return told;
  }

  /* ── people ── */

  prompted(session: SessionNode, commandId: string): void {
    this.#prompts.set(commandId, session);
  }

  wasDone(commandId: string): boolean {
    return this.#answers.has(commandId);
  }

  /** An answer that was given once is given always (S-2). Refusals are not kept, so they may change. */
  answered(_session: SessionNode, commandId: string, result: Result<object>): void {
    const { message: _words, ...kept } = result as { message?: string };
    const text = JSON.stringify(kept);
    const first = this.#answers.get(commandId);
    if (first !== undefined && first !== text)
      this.#world.violation("S-2", `${commandId} was answered ${first}, then ${text}`);
    if (result.ok) this.#answers.set(commandId, text);
  }

  reused(commandId: string, result: Result<object>): void {
    if (result.ok || (result.reason !== "idempotency_conflict" && result.reason !== "gone"))
      this.#world.violation("S-2", `${commandId} was used for something else and answered ${JSON.stringify(result)}`);
  }

  /** Prompts that a person was told are in, for which the log has no run; none is right (S-2, S-6). */
  promptsWithoutRun(): string[] {
    return [...this.#prompts].flatMap(([id, session]) =>
      this.#answers.has(id) && !this.of(session).prompts.has(id) ? [id] : [],
    );
  }

  /* ── hosts ── */

  executed(hostId: string, lease: LeaseDisk, run: RunStart): void {
    // A run that was parked goes on in a part of its own, which is carried out once, too.
    const key = `${run.runId}/${run.attempt}${run.part === undefined ? "" : `/${run.part}`}`;
    const where = `${hostId}/${lease.epoch}`;
    const earlier = this.#executions.get(key);
    if (earlier !== undefined)
      this.#world.violation(
        "S-14",
        `attempt ${run.attempt} of ${run.runId} was carried out at ${earlier} and at ${where}`,
      );
    this.#executions.set(key, where);
    if (run.part !== undefined && !run.given?.length)
      this.#world.violation("S-41", `part ${run.part} of ${run.runId} is not told what was answered`);
    const again = Array.from({ length: run.attempt - 1 }, (_, before) => `${run.runId}/${before + 1}`);
    if (!again.some((attempt) => this.#executions.has(attempt))) return;
    const known = this.told.get(run.sessionId)?.view;
    if (known && runById(known, run.runId)?.retryOn?.includes("host_lost")) this.repeatedOnWish++;
    else this.#world.violation("S-24", `${run.runId} had begun already when ${where} began attempt ${run.attempt}`);
  }

  /** The runner has said one thing; the log has to have it once. */
  spoke(run: RunStart): void {
    const key = `${run.runId}/${run.attempt}`;
    this.#spoken.set(key, (this.#spoken.get(key) ?? 0) + 1);
  }

  /** Runs that succeeded and of which something is missing in the log (P-12). */
  unheard(): string[] {
    const succeeded = [...this.told.values()].flatMap(({ view }) =>
      view.runs.filter((run) => run.state === "finished" && run.outcome === "succeeded"),
    );
    return succeeded
      .map((run) => `${run.id}/${run.attempt}`)
      .filter((key) => (this.#heard.get(key) ?? 0) < (this.#spoken.get(key) ?? 0));
  }

  replied(hostId: string, { requestId, ...reply }: HumanLoopReply): void {
    const text = JSON.stringify(reply);
    const first = this.#replies.get(requestId);
    if (first !== undefined && first !== text)
      this.#world.violation("S-11", `${hostId} got ${first} and then ${text} for ${requestId}`);
    this.#replies.set(requestId, text);
  }

  /** A snapshot counted (S-17): only under the current lease. */
  committed(view: SessionView, { hostId, epoch }: CommitSnapshot): void {
    const { worker } = view;
    if (epoch !== view.epoch || !("hostId" in worker) || worker.hostId !== hostId || worker.state === "stopped")
      this.#world.violation("S-17", `${view.id} took a snapshot of ${hostId} under ${epoch}; it is at ${view.epoch}`);
  }

  /** A lease as the pool's table has it: each epoch belongs to one host, and a new one is larger than all before. */
  leased(sessionId: string, epoch: number, hostId: string): void {
    let epochs = this.#epochs.get(sessionId);
    if (!epochs) {
      epochs = new Map();
      this.#epochs.set(sessionId, epochs);
    }
    const owner = epochs.get(epoch);
    if (owner === hostId) return;
    if (owner !== undefined)
      this.#world.violation("F-2", `epoch ${epoch} of ${sessionId} was ${owner}'s and is now ${hostId}'s`);
    const largest = Math.max(0, ...epochs.keys());
    if (epoch <= largest) this.#world.violation("F-2", `${sessionId} got epoch ${epoch} after ${largest}`);
    epochs.set(epoch, hostId);
  }

  /* ── readers ── */

  read(page: Page): void {
    const told = this.of(page.session);
    const fold = page.view.cursor === told.view.cursor ? told.view : told.folds.get(page.view.cursor);
    if (fold && JSON.stringify(fold) !== JSON.stringify(page.view))
      this.#world.violation(
        "P-21",
        `a page of ${page.session.sessionId} disagrees with the log at ${page.view.cursor}`,
      );
  }

  /* ── the log ── */

  /** Whether an object has another instance, or anything was written on its disk, since this was asked last. */
  changed(object: Watched): boolean {
    const seen = this.#seen.get(object);
    if (seen && seen.instance === object.instance && seen.changes === object.disk.changes) return false;
    this.#seen.set(object, { instance: object.instance, changes: object.disk.changes });
    return true;
  }

  /** Reads what is new in a session's log. */
  readLog(session: SessionNode): void {
    const told = this.of(session);
    const rows = session.disk.rows<LogRow>(
      "SELECT seq, first, epoch, taken, events FROM log WHERE seq > ? ORDER BY seq",
      told.view.cursor,
    );
    for (const row of rows) {
      // A fold puts the words of people into one row with those of a host that were taken long ago.
      const news = row.epoch !== null && (row.taken ?? 0) > (told.taken.get(row.epoch) ?? 0);
      if (news) this.#underLease(told, row);
      if (row.epoch !== null && news) told.taken.set(row.epoch, row.taken ?? 0);
      // A row that was known may have grown.
      const events = (JSON.parse(row.events) as SessionEvent[]).filter(({ seq }) => seq > told.view.cursor);
      for (const event of events) this.#event(told, event);
      told.folds.set(told.view.cursor, told.view);
    }
  }

  /** However often it is asked for, a dead letter makes one new run (F-19). */
  #redriven(of: string | undefined, as: string, broken: (rule: string, what: string) => void): void {
    if (of === undefined) return;
    const first = this.#redrives.get(of);
    if (first !== undefined) broken("F-19", `${of} was redriven as ${first} and as ${as}`);
    this.#redrives.set(of, as);
  }

  #underLease({ view }: Told, { epoch, seq }: LogRow): void {
    const held = view.worker.state !== "cold" && view.worker.state !== "stopped";
    if (epoch !== view.epoch || !held)
      this.#world.violation(
        "S-13",
        `event ${seq} of ${view.id} came under epoch ${epoch}; current is ${view.epoch}${held ? "" : ", not leased"}`,
      );
  }

  #event(told: Told, event: SessionEvent): void {
    const { view } = told;
    const broken = (rule: string, what: string) =>
      this.#world.violation(rule, `${what} (event ${event.seq} of ${view.id})`);
    this.#world.note(
      `  ${view.id.slice(0, 5)} #${event.seq} ${event.type} ${event.runId?.slice(-3) ?? ""} ${JSON.stringify(event.data).slice(0, 140)}`,
    );
    if ((event.from ?? event.seq) !== view.cursor + 1) broken("S-1", `${event.seq} follows ${view.cursor}`);
    const run = event.runId === undefined ? undefined : runById(view, event.runId);
    switch (event.type) {
      case "session.prompted":
        if (told.prompts.has(event.data.messageId)) broken("S-2", `${event.data.messageId} made a second run`);
        told.prompts.set(event.data.messageId, event.runId ?? "");
        this.#redriven(event.data.redriveOf, event.runId ?? "", broken);
        break;
      case "run.status":
        if (told.finished.has(event.runId ?? "")) broken("S-6", `${event.runId} goes on after its end`);
        if (run && !MOVES[run.state].includes(event.data.state))
          broken("S-7", `${run.id}: ${run.state} → ${event.data.state}`);
        if (event.data.state === "cancelling") told.cancelling.add(event.runId ?? "");
        break;
      case "run.finished":
        if (told.finished.has(event.runId ?? "")) broken("S-6", `${event.runId} ended a second time`);
        told.finished.set(event.runId ?? "", event.seq);
        if (told.cancelling.has(event.runId ?? "") && event.data.outcome !== "cancelled")
          broken("S-9", `${event.runId} was being cancelled and is ${event.data.outcome}`);
        break;
      case "human_loop.resolved": {
        const { requestId } = event.data;
        if (told.resolved.has(requestId)) broken("S-11", `${requestId} was answered a second time`);
        told.resolved.set(requestId, event.seq);
        break;
      }
      case "message.delta": {
        const key = `${event.runId}/${run?.attempt}`;
        const heard = (this.#heard.get(key) ?? 0) + (event.seq - (event.from ?? event.seq) + 1);
        this.#heard.set(key, heard);
        if (heard > (this.#spoken.get(key) ?? 0)) broken("P-13", `${key} said less than the log has`);
        break;
      }
      default:
        if (event.runId !== undefined && told.finished.has(event.runId))
          broken("S-6", `${event.type} after the end of ${event.runId}`);
    }
    told.view = applyEvent(view, event);
    if (told.view.epoch < view.epoch) broken("S-13", `the epoch fell from ${view.epoch} to ${told.view.epoch}`);
  }
}
