/**
 * The sessions of this host by id. Comes up from what is on disk and what runs: a lease without worker goes on without
 * one, a worker without lease is ended (its label says that it is ours, its files stay).
 */
import type { Assignment, HostFacts } from "#protocol/messages.ts";
import type { Worker, WorkerEngine } from "../container/port.ts";
import type { HostNeeds } from "../needs.ts";
import { decideOffer, type OfferDecision } from "../offer.ts";
import { messageOf } from "./failure.ts";
import { Session } from "./session.ts";

export type SessionsNeeds = {
  host: HostNeeds;
  engines: readonly WorkerEngine[];
  release(lease: { sessionId: string; epoch: number }): void;
  config(update: Record<string, unknown>): void;
  /** A session opens here, or has closed: what only this host has may be in use, or may be handed in. */
  opens(sessionId: string): void;
  closed(): void;
};

const ENGINE_RETRY_MS = 2_000;

export class Sessions {
  readonly #needs: SessionsNeeds;
  readonly #open = new Map<string, Session>();
  /** An older lease's clean-up, which the next session of the same id waits for. */
  readonly #leaving = new Map<string, Promise<void>>();
  /** Engines that could not say what runs, with their words: asked again and again, logged once. */
  readonly #silent = new Map<WorkerEngine, string>();
  #vmModes: HostFacts["vmModes"] = [];
  /** Why, and whether the pool may take it back. */
  #draining: { reason: string; forGood: boolean } | undefined;
  #closed = false;
  #changed: (() => void)[] = [];

  constructor(needs: SessionsNeeds) {
    this.#needs = needs;
  }

  get draining(): boolean {
    return this.#draining !== undefined;
  }

  describe(): ReturnType<Session["describe"]>[] {
    return [...this.#open.values()].map((session) => session.describe());
  }

  /** What the next offers are measured against. */
  offers(vmModes: HostFacts["vmModes"]): void {
    this.#vmModes = vmModes;
  }

  /**
   * Opens what an earlier daemon left, mode by mode. Resolves when every engine that answers has been asked; the sessions
   * of one that does not (Docker is still starting) wait for it, because nobody knows yet whether their workers live.
   */
  async restore(): Promise<void> {
    const leases = this.#needs.host.records.leases();
    const modes = new Set(this.#needs.engines.map((engine) => engine.vmMode));
    for (const { assignment } of leases) if (!modes.has(assignment.vmMode)) this.#start(assignment, undefined);
    await Promise.all(this.#needs.engines.map((engine) => this.#restoreMode(engine)));
  }

  async #restoreMode(engine: WorkerEngine): Promise<void> {
    const { host } = this.#needs;
    const found = await this.#find(engine);
    if (!found) {
      host.clock.after(ENGINE_RETRY_MS, () => {
        if (!this.#closed) void this.#restoreMode(engine);
      });
      return;
    }
    const leases = host.records.leases().filter(({ assignment }) => assignment.vmMode === engine.vmMode);
    const workerOf = ({ sessionId, epoch }: Assignment) =>
      found.find((worker) => worker.sessionId === sessionId && worker.epoch === epoch);
    const kept = new Set(leases.map(({ assignment }) => workerOf(assignment)));
    for (const worker of found.filter((each) => !kept.has(each))) {
      host.logger.warn({ sessionId: worker.sessionId, epoch: worker.epoch }, "ending a worker without a lease");
      await engine
        .remove(worker, 0)
        .catch((error: unknown) => host.logger.error({ err: error }, "a worker without a lease could not be ended"));
    }
    for (const { assignment } of leases) {
      if (!this.#open.has(assignment.sessionId)) this.#start(assignment, workerOf(assignment));
    }
  }

  /** Inside the transaction that takes the offer. Stores an accepted lease and opens it after the commit. */
  offer(assignment: Assignment): OfferDecision {
    const { host } = this.#needs;
    const decision = decideOffer(assignment, {
      draining: this.draining,
      slots: host.settings.slots,
      vmModes: this.#vmModes,
      obstacle: host.disk.obstacle?.reason,
      held: this.leases(),
    });
    if (!decision.accept || decision.again) return decision;
    const older = this.#open.get(assignment.sessionId);
    host.records.hold(assignment);
    host.database.afterCommit(() => {
      if (older) this.#revoke(older, "a newer lease of the same session came");
      this.#start(assignment, undefined);
    });
    return decision;
  }

  leases(): { sessionId: string; epoch: number }[] {
    return this.#needs.host.records.leases().map(({ assignment: { sessionId, epoch } }) => ({ sessionId, epoch }));
  }

  /** Inside the transaction that takes the message. A revocation of another epoch than the held one is old news. */
  revoke(sessionId: string, epoch: number, reason: string): void {
    const { records, database } = this.#needs.host;
    if (records.lease(sessionId)?.assignment.epoch !== epoch) return;
    records.lose(sessionId);
    const session = this.#open.get(sessionId);
    if (session) database.afterCommit(() => this.#revoke(session, reason));
  }

  /** No new work until [resume]; every session is saved and given back when its runs have ended. */
  pause(reason: string): void {
    this.#draining ??= { reason, forGood: false };
    for (const session of this.#open.values()) session.requestStop(reason);
  }

  /** Takes work again, unless this host is leaving. What was asked to stop stops. */
  resume(): void {
    if (!this.#draining?.forGood) this.#draining = undefined;
  }

  /** The same as [pause], for good. Resolves when no session is left. */
  async drain(reason: string): Promise<void> {
    this.#draining = { reason, forGood: true };
    for (const session of this.#open.values()) session.requestStop(reason);
    await this.#empty();
  }

  /** Like [drain], but runs are stopped. */
  async cancelAll(reason: string): Promise<void> {
    this.#draining = { reason, forGood: true };
    for (const session of this.#open.values()) session.cancel(reason);
    await this.#empty();
  }

  /** Saves one session and gives it back when its runs have ended. */
  requestStop(sessionId: string, reason: string): void {
    this.#open.get(sessionId)?.requestStop(reason);
  }

  /** Whether the session still does anything here. */
  busy(sessionId: string): boolean {
    return this.#open.has(sessionId) || this.#leaving.has(sessionId);
  }

  /** Leaves everything as it is: the next daemon goes on. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#open.values()].map((session) => session.close()));
    await Promise.all(this.#leaving.values());
  }

  #start(assignment: Assignment, found: Worker | undefined): void {
    const { host, release, config } = this.#needs;
    const session: Session = new Session({ host, assignment, release, config, over: () => this.#over(session) });
    this.#open.set(assignment.sessionId, session);
    this.#needs.opens(assignment.sessionId);
    const older = this.#leaving.get(assignment.sessionId) ?? Promise.resolve();
    older
      .then(async () => {
        // Only now may the new lease start a worker: the older one's has the same name and the same folders.
        if (!this.#closed && this.#open.get(assignment.sessionId) === session) await session.start(found);
        if (this.#draining !== undefined) session.requestStop(this.#draining.reason);
      })
      .catch((error: unknown) => host.logger.error({ err: error }, "a session could not be opened"));
  }

  #revoke(session: Session, reason: string): void {
    const { host } = this.#needs;
    const { sessionId } = session.assignment;
    const leaving = session
      .revoke(reason)
      .catch((error: unknown) =>
        host.logger.error({ err: error, sessionId }, "a revoked session could not be cleaned up"),
      )
      .finally(() => {
        if (this.#leaving.get(sessionId) === leaving) this.#leaving.delete(sessionId);
        this.#over(session);
      });
    this.#leaving.set(sessionId, leaving);
  }

  #over(session: Session): void {
    const { sessionId } = session.assignment;
    if (this.#open.get(sessionId) === session) this.#open.delete(sessionId);
    if (!this.busy(sessionId)) this.#needs.closed();
    for (const changed of this.#changed.splice(0)) changed();
  }

  async #empty(): Promise<void> {
    while (this.#open.size > 0) await new Promise<void>((resolve) => this.#changed.push(resolve));
  }

  async #find(engine: WorkerEngine): Promise<Worker[] | undefined> {
    const { identity, logger } = this.#needs.host;
    try {
      await engine.reap(identity.installationId);
      const found = await engine.find(identity.installationId);
      if (this.#silent.delete(engine)) logger.info({ vmMode: engine.vmMode }, "the engine says which workers run");
      return found;
    } catch (error) {
      const words = messageOf(error);
      if (this.#silent.get(engine) !== words)
        logger.warn({ err: error, vmMode: engine.vmMode }, "the engine cannot say which workers run");
      this.#silent.set(engine, words);
      return undefined;
    }
  }
}
