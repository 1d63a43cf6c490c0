/**
 * The one order in which everything happens to a session, without an await in between:
 *
 *   command → receipt → decide → log → fold → effects → broadcast → answer
 *
 * The stores are SQLite in the object, so the whole turn is one transaction, and the platform holds every outgoing
 * message back until it is on disk.
 */

import { ProtocolViolation } from "#protocol/close-codes.ts";
import type { Actor, SessionEvent } from "#protocol/events.ts";
import { newId } from "#protocol/ids.ts";
import type { CommandContext, Result } from "#protocol/objects.ts";
import { applyEvent, emptyView, hasBegunRun, runById, type SessionView } from "#protocol/session-view.ts";
import { Chores } from "../shell/chores.ts";
import type { ObjectsEnv } from "../shell/env.ts";
import { closeSocket } from "../shell/host-handshake.ts";
import { LinkStore } from "../shell/link-store.ts";
import { Archive } from "./archive.ts";
import { Checkpoint, type Identity } from "./checkpoint.ts";
import type { Asked, SessionCommand } from "./commands.ts";
import { decide } from "./decide.ts";
import { ARCHIVE_FORGET, ARCHIVE_MOVE, carryOut } from "./effects.ts";
import { EventLog, numbered } from "./event-log.ts";
import { callFleet } from "./fleet-calls.ts";
import { History, isOfRun, spanOfRun } from "./history.ts";
import { Hub } from "./hub.ts";
import { writeIndex } from "./index-writer.ts";
import { type Effect, type Indexed, react } from "./react.ts";
import { fingerprint, Receipts } from "./receipts.ts";
import { hasUnseen, isAsked, type Viewer } from "./seen.ts";

export const VIEWER_TAG = "viewer";
export const HOST_TAG = "host";

/** The name under which sockets that have not authenticated are looked at again. */
const AUTH_DEADLINE = "auth";
/** The name under which what a long run has said is folded, and how long that waits. */
const FOLD_DEADLINE = "fold";
const FOLD_AFTER_MS = 5_000;

/**
 * What the index has to learn waits so long for more of the same: a run's first steps follow each other closely, and what a
 * run waits for goes first.
 */
const INDEX_GATHER_MS = 100;

export class Session {
  readonly chores: Chores;
  readonly link: LinkStore;
  readonly hub: Hub;
  readonly history: History;
  readonly archive: Archive;
  /** When this instance last finished a write to D1. */
  indexedAt = 0;
  readonly #ctx: DurableObjectState;
  readonly #env: ObjectsEnv;
  readonly #log: EventLog;
  readonly #receipts: Receipts;
  readonly #checkpoint: Checkpoint;
  #foldIsPlanned = false;
  #identity: Identity | undefined;
  #view: SessionView;

  constructor(ctx: DurableObjectState, env: ObjectsEnv) {
    this.#ctx = ctx;
    this.#env = env;
    this.chores = new Chores(ctx.storage, {
      component: "session",
      deliver: (key, body) => this.#deliver(key, body),
      // The fleet, the index, the store: one of them away is no reason for the others to wait.
      laneOf: (key) => key.slice(0, key.indexOf("/")),
      deadline: (name, now) => this.#deadline(name, now),
    });
    this.#receipts = new Receipts(ctx.storage);
    this.#log = new EventLog(ctx.storage);
    this.link = new LinkStore(ctx.storage, (_peer, epoch) => this.#log.taken(epoch));
    this.#checkpoint = new Checkpoint(ctx.storage);
    this.history = new History(ctx.storage, this.#log);
    this.archive = new Archive(ctx.storage, env.STORE);
    this.hub = new Hub(() => ctx.getWebSockets(VIEWER_TAG), this.#log, this.history, this.archive);
    const known = this.#checkpoint.load(this.#log);
    this.#identity = known?.identity;
    this.#view = known?.view ?? emptyView("");
  }

  get view(): SessionView {
    return this.#view;
  }

  get identity(): Identity {
    if (!this.#identity) throw new Error("the session was not created");
    return this.#identity;
  }

  get exists(): boolean {
    return this.#view.cursor > 0;
  }

  get events(): EventLog {
    return this.#log;
  }

  /** One run's events in order, from the store and from the log; with `types` only those. */
  async eventsOfRun(runId: string, types?: readonly SessionEvent["type"][]): Promise<SessionEvent[]> {
    const found: SessionEvent[] = [];
    const { after, last } = spanOfRun(this.#view, runId);
    for await (const events of this.archive.after(after)) {
      found.push(...events.filter((event) => isOfRun(event, runId, types)));
      if (last !== undefined && (events.at(-1)?.seq ?? 0) >= last) return found;
    }
    // Rows that were moved while segments were read are in the last of them.
    const read = found.at(-1)?.seq ?? 0;
    return [...found, ...this.history.ofRun(this.#view, runId, types).filter(({ seq }) => seq > read)];
  }

  /** The first command of a session names it. */
  begin(identity: Identity): void {
    this.#identity ??= identity;
    if (!this.exists) this.#view = this.#checkpoint.begin(identity);
  }

  /** One turn. Answers what happened, or the rejection; nothing is stored for a rejection. */
  handle(command: SessionCommand, asked: Asked): Result<{ events: SessionEvent[] }> {
    const before = this.#view;
    const decision = decide(before, command, asked);
    if (!decision.ok) return decision;
    if (decision.events.length === 0) return { ok: true, events: [] };
    const events = numbered(decision.events, {
      after: before.cursor,
      at: asked.now,
      sessionId: this.identity.sessionId,
      // A run keeps the trace of whoever asked for it, whatever moves it on.
      traceOf: (event) => (event.runId && runById(before, event.runId)?.traceId) || asked.traceId,
    });
    const effects: Effect[] = [];
    let view = before;
    let settled: number | undefined;
    for (const event of events) {
      const after = applyEvent(view, event);
      effects.push(...react(view, event, after));
      view = after;
      if (event.type === "run.finished" && !hasBegunRun(view)) settled = event.seq;
    }
    const text = this.#store(events, effects, view, asked);
    this.#view = view;
    this.hub.broadcast(events, text);
    this.#checkpoint.committed(this.identity, view, events);
    if (this.history.stored(events, text.length)) this.#foldSoon(asked.now);
    if (this.chores.unsettled) this.#ctx.waitUntil(this.chores.settle());
    if (settled !== undefined) this.#ctx.waitUntil(this.#fold(settled));
    return { ok: true, events };
  }

  /** All of it or nothing. Most turns are events alone, and those are one row, which needs no transaction of its own. */
  #store(events: readonly SessionEvent[], effects: readonly Effect[], view: SessionView, asked: Asked): string {
    if (effects.length === 0) return this.#log.append(events, asked.message);
    return this.#ctx.storage.transactionSync(() => {
      const text = this.#log.append(events, asked.message);
      for (const effect of effects) this.#perform(effect, view, { now: asked.now, gatherMs: INDEX_GATHER_MS });
      return text;
    });
  }

  /** Carries out effects that should have been carried out before; each of them is harmless twice. */
  again(effects: readonly Effect[], now: number): void {
    this.#ctx.storage.transactionSync(() => {
      for (const effect of effects) this.#perform(effect, this.#view, { now, gatherMs: 0 });
    });
    if (this.chores.unsettled) this.#ctx.waitUntil(this.chores.settle());
  }

  /** The same command id again gets the first answer; with another body it is refused (SPEC [S-2]). */
  once<T extends object>(
    context: CommandContext,
    request: unknown,
    command: SessionCommand,
    answer: () => T = () => ({}) as T,
  ): Result<T> {
    const print = fingerprint(request);
    const earlier = this.#receipts.find<{ ok: true } & T>(context.commandId, print);
    if (earlier) return earlier;
    const result = this.handle(command, { by: context.actor, now: Date.now(), traceId: context.traceId });
    if (!result.ok) return result;
    const answered = { ok: true as const, ...answer() };
    this.#receipts.keep(context.commandId, print, answered);
    return answered;
  }

  /** A page has everything up to `cursor`. */
  acknowledged(ws: WebSocket, viewer: Viewer, cursor: number): void {
    if (cursor > this.#view.cursor)
      throw new ProtocolViolation("protocol_violation", "acknowledges what was never sent");
    this.hub.acknowledged(ws, cursor);
    this.#saw(viewer, cursor);
  }

  /** The view, all of which `shownTo`, who may answer what is asked, is shown now. */
  viewFor(shownTo?: Actor): SessionView {
    if (shownTo) this.#saw({ actor: shownTo, mayReply: true }, this.#view.cursor);
    return this.#view;
  }

  #saw(viewer: Viewer, cursor: number): void {
    if (!isAsked(viewer) || !hasUnseen(this.#view)) return;
    this.handle({ type: "saw", cursor }, { by: viewer.actor, now: Date.now(), traceId: newId("trc") });
  }

  expectAuth(at: number): void {
    this.chores.deadlines.set(AUTH_DEADLINE, at);
    this.#ctx.waitUntil(this.chores.settle());
  }

  hostSockets(phase: "new" | "live"): WebSocket[] {
    return this.#ctx
      .getWebSockets(HOST_TAG)
      .filter((ws) => ws.readyState === WebSocket.READY_STATE_OPEN && ws.deserializeAttachment()?.phase === phase);
  }

  #perform(effect: Effect, view: SessionView, time: { now: number; gatherMs: number }): void {
    carryOut(effect, {
      link: this.link,
      deadlines: this.chores.deadlines,
      outbox: this.chores.outbox,
      ...time,
      sendToHost: (frame) => {
        for (const ws of this.hostSockets("live")) ws.send(frame);
      },
      dropHost: (current) => {
        const text = `the lease is over; the current epoch is ${current ?? view.epoch}`;
        for (const ws of this.#ctx.getWebSockets(HOST_TAG)) {
          // One that is still introducing itself may be the new host, faster than the news of its lease.
          if (ws.deserializeAttachment()?.phase !== "new") closeSocket(ws, "stale_epoch", text);
        }
      },
    });
  }

  /** After everybody has heard of the run's end, and others who have to learn of it were told. */
  async #fold(settled: number): Promise<void> {
    await this.chores.settle();
    this.history.fold(settled, (runId, seq) => this.#isOver(runId, seq));
    this.#checkpoint.store(this.identity, this.#view);
    await this.#archiveMore();
  }

  /** Not while words rush in: folding them would be in their way. */
  #foldSoon(now: number): void {
    if (this.#foldIsPlanned) return;
    this.#foldIsPlanned = true;
    this.chores.deadlines.set(FOLD_DEADLINE, now + FOLD_AFTER_MS, "if-sooner");
  }

  #foldFinished(): void {
    this.#foldIsPlanned = false;
    this.history.foldFinished((runId, seq) => this.#isOver(runId, seq));
    this.#checkpoint.store(this.identity, this.#view);
    this.#ctx.waitUntil(this.#archiveMore());
  }

  #isOver(runId: string, seq: number): boolean {
    const run = runById(this.#view, runId);
    // One that the view has no more is over long since.
    return run === undefined || (run.state === "finished" && (run.finishedSeq ?? 0) <= seq);
  }

  /** Old rows go to the store through the outbox: tried again until it has them. */
  async #archiveMore(): Promise<void> {
    if (this.#view.deleted || !this.archive.isDue(this.history.folded)) return;
    this.chores.outbox.put(ARCHIVE_MOVE, {}, Date.now());
    await this.chores.settle();
  }

  async #archiveChore(key: string): Promise<void> {
    if (key === ARCHIVE_FORGET) return await this.archive.forget(this.identity);
    if (this.#view.deleted || !this.archive.isDue(this.history.folded)) return;
    await this.archive.move(this.identity, this.history.folded);
    if (this.archive.isDue(this.history.folded)) this.chores.outbox.put(ARCHIVE_MOVE, {}, Date.now());
  }

  #closeSilentSockets(): void {
    for (const ws of this.hostSockets("new")) closeSocket(ws, "auth_timeout", "no auth frame in time");
  }

  #deadline(name: string, now: number): void {
    if (name === AUTH_DEADLINE) return this.#closeSilentSockets();
    if (name === FOLD_DEADLINE) return this.#foldFinished();
    const by = { id: "system", name: "Gantry" };
    this.handle({ type: "deadline", name }, { by, now, traceId: `deadline-${this.#view.cursor}` });
  }

  async #deliver(key: string, body: unknown): Promise<void> {
    if (key.startsWith("archive/")) return await this.#archiveChore(key);
    if (!key.startsWith("index/")) return await callFleet(this.#env, this.identity, this.#view, key, body);
    await writeIndex(this.#env.DB, this.identity.organizationId, this.#view, body as Indexed);
    this.indexedAt = Date.now();
  }
}
