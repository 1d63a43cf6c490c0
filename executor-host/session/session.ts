/**
 * One leased session on this host. Messages change what is on disk ([take]); one loop looks at it and does the next
 * thing ([nextStep]): drive a run, stop the worker, give the lease back. Nothing here decides by what it remembers, so a
 * daemon that starts again is a daemon that goes on.
 *
 *   held ──runs──► … ──worker.stop──► sync ─► remove worker ─► sync ─► stopped ──peer knows──► released
 *     └── revoked (another epoch, or the session is gone): worker ended, files kept, handed in beside the session's own
 *         snapshots where they were unsaved (kept-work.ts)
 *
 * take-message.ts has what messages change, drive-run.ts and stop-worker.ts the two long steps.
 */
import type { Assignment, FromHostData } from "#protocol/messages.ts";
import { pause } from "../clock.ts";
import { sessionPaths } from "../config.ts";
import { INSIDE } from "../container/container-spec.ts";
import type { Worker } from "../container/port.ts";
import { Link, type LinkEnd } from "../link/link.ts";
import { Outbox } from "../link/outbox.ts";
import type { Logger } from "../logs.ts";
import type { HostNeeds } from "../needs.ts";
import { Bell } from "./bell.ts";
import { DiskLimit } from "./disk-limit.ts";
import { driveRun } from "./drive-run.ts";
import { exitEvidence } from "./failure.ts";
import { nextStep } from "./next-step.ts";
import { resolveUrl } from "./resolve-url.ts";
import { SavedWorkspace } from "./saved-workspace.ts";
import { SessionWorker } from "./session-worker.ts";
import { stopWorker } from "./stop-worker.ts";
import { takeMessage } from "./take-message.ts";

const STEP_RETRY_MS = 1_000;

export type SessionNeeds = {
  host: HostNeeds;
  assignment: Assignment;
  /** Says on the control link that the lease may go; part of the transaction that forgets it here. */
  release(lease: { sessionId: string; epoch: number }): void;
  config(update: Record<string, unknown>): void;
  /** The session is off this host: released, or revoked and cleaned up. */
  over(session: Session): void;
};

export class Session {
  readonly assignment: Assignment;
  readonly #needs: SessionNeeds;
  readonly #logger: Logger;
  readonly #outbox: Outbox;
  readonly #link: Link<FromHostData>;
  readonly #worker: SessionWorker;
  readonly #workspace: SavedWorkspace;
  readonly #disk: DiskLimit;
  /** Aborts when the lease is lost or the daemon closes. */
  readonly #end = new AbortController();
  /** This host wants to be rid of the session, whatever the session wants. */
  #leaving = false;
  #news: () => void = () => {};
  readonly #bell = new Bell();
  #loop: Promise<void> = Promise.resolve();
  #cleaned = Promise.resolve();

  constructor(needs: SessionNeeds) {
    const { host, assignment } = needs;
    const { sessionId, epoch, dataUrl, storeUrl, traceId } = assignment;
    this.#needs = needs;
    this.assignment = assignment;
    this.#logger = host.logger.child({ component: "session", sessionId, epoch, traceId });
    this.#outbox = new Outbox(host.database, sessionId, epoch);
    this.#link = new Link<FromHostData>({
      ...host,
      outbox: this.#outbox,
      logger: this.#logger.child({ component: "data-link" }),
      target: async (lastClose) => ({
        url: at(dataUrl, "socket"),
        token: await host.access.token(lastClose === "auth_rejected"),
        epoch,
      }),
      take: (message) => this.#take(message),
      ended: (end) => this.#linkEnded(end),
    });
    const at = (url: string, kind: "http" | "socket") => resolveUrl(host.identity.controlUrl, url, kind);
    const store = { url: at(storeUrl, "http"), token: () => host.access.current(), epoch };
    const shared = {
      host,
      assignment,
      store,
      logger: this.#logger,
      say: (message: FromHostData) => this.#say(message),
      signal: this.#end.signal,
    };
    const { workspace, run } = sessionPaths(host.paths, sessionId);
    this.#disk = new DiskLimit({
      dirs: [workspace, run],
      limitBytes: () => host.settings.limits.workspaceBytes,
      runActive: () => host.records.runs(sessionId).length > 0 && this.#worker.live() !== undefined,
      end: () => this.#worker.remove(0),
      logger: this.#logger,
    });
    this.#workspace = new SavedWorkspace({ ...shared, beforeSync: () => this.#disk.check() });
    this.#worker = new SessionWorker({
      ...shared,
      died: (exit) => {
        this.#logger.warn({ ...exit }, exitEvidence(exit));
        this.#workspace.request();
      },
    });
  }

  /** @param found the worker of this lease that outlived an earlier daemon */
  async start(found: Worker | undefined): Promise<void> {
    if (found) await this.#worker.adopt(found);
    this.#link.start();
    if (!found) this.#worker.expectRun();
    this.#workspace.resume();
    this.#loop = this.#run();
  }

  get epoch(): number {
    return this.assignment.epoch;
  }

  /** For `gantry host status`. */
  describe(): { sessionId: string; epoch: number; link: string; worker: boolean; runs: string[] } {
    const { sessionId } = this.assignment;
    const runs = this.#needs.host.records.runs(sessionId).map(({ run }) => run.runId);
    return { sessionId, epoch: this.epoch, link: this.#link.state, worker: this.#worker.live() !== undefined, runs };
  }

  /** Saves and gives the lease back, once the runs that are here have ended. */
  requestStop(reason: string): void {
    this.#leaving = true;
    this.#needs.host.records.wantStop(this.assignment.sessionId, reason);
    this.#kick();
  }

  /** Stops the runs that are here, too. */
  cancel(reason: string): void {
    const { records } = this.#needs.host;
    for (const { run } of records.runs(this.assignment.sessionId)) records.wantRunStop(run.runId, reason);
    this.requestStop(reason);
  }

  /**
   * The lease is another's now and its records are gone: ends the worker, keeps the files, forgets what was meant for this
   * epoch. Resolves when the worker is gone, whoever asked first.
   */
  revoke(reason: string): Promise<void> {
    if (!this.#end.signal.aborted) this.#cleaned = this.#cleanUp(reason);
    return this.#cleaned;
  }

  async #cleanUp(reason: string): Promise<void> {
    this.#logger.warn({ reason }, "the lease is gone");
    this.#end.abort(new Error(`the lease is gone: ${reason}`));
    this.#link.close();
    this.#bell.ring();
    await this.#loop;
    await this.#worker.remove(0);
    this.#outbox.drop();
    this.#needs.over(this);
  }

  /** The daemon ends, the worker stays: the next daemon goes on. */
  async close(): Promise<void> {
    this.#end.abort(new Error("the host daemon ends"));
    this.#link.close();
    this.#bell.ring();
    await this.#loop;
    await this.#worker.leave();
  }

  /** Inside the transaction that takes the message. */
  #take(message: unknown): void {
    const { host, config } = this.#needs;
    takeMessage(message, {
      sessionId: this.assignment.sessionId,
      records: host.records,
      afterCommit: (effect) => host.database.afterCommit(effect),
      say: (answer) => this.#say(answer),
      config,
      requestSync: () => this.#workspace.request(),
      decideSync: (choice) => this.#workspace.decide(choice),
      leaving: () => this.#leaving,
    });
    host.database.afterCommit(() => this.#kick());
  }

  /** The one loop of the session. */
  async #run(): Promise<void> {
    while (!this.#end.signal.aborted) {
      const { records } = this.#needs.host;
      const { sessionId } = this.assignment;
      const step = nextStep(records.lease(sessionId), records.runs(sessionId));
      try {
        if (step.do === "drive") await this.#drive(step.run);
        else if (step.do === "stop") await this.#stop();
        else if (step.do === "release") await this.#release();
        else await this.#bell.heard();
      } catch (error) {
        if (this.#end.signal.aborted) return;
        this.#logger.error({ err: error, step: step.do }, "a step failed, trying again");
        await pause(this.#needs.host.clock, STEP_RETRY_MS, this.#end.signal);
      }
    }
  }

  async #drive(run: Parameters<typeof driveRun>[0]): Promise<void> {
    const { host } = this.#needs;
    const paths = sessionPaths(host.paths, this.assignment.sessionId);
    this.#workspace.touched();
    this.#disk.forget();
    await driveRun(run, {
      ...host,
      logger: this.#logger.child({ component: "run", runId: run.run.runId, traceId: run.run.traceId }),
      transaction: (work) => host.database.transaction(work),
      say: (message) => this.#say(message),
      room: async () => {
        await host.disk.room(this.#end.signal);
        await this.#link.room();
      },
      heard: () => this.#link.heard(this.#end.signal),
      worker: this.#worker,
      verdict: () => this.#disk.verdict,
      cwd: this.assignment.vmMode === "process" ? paths.workspace : INSIDE.workspace,
      runDir: paths.run,
      worthSaving: () => this.#workspace.request(),
      onNews: (listener) => {
        this.#news = listener;
      },
      signal: this.#end.signal,
    });
    this.#news = () => {};
  }

  #stop(): Promise<void> {
    const { host } = this.#needs;
    return stopWorker({
      sessionId: this.assignment.sessionId,
      records: host.records,
      transaction: (work) => host.database.transaction(work),
      say: (message) => this.#say(message),
      worker: this.#worker,
      saved: () => this.#workspace.saved(),
      onNews: (listener) => {
        this.#news = listener;
      },
      signal: this.#end.signal,
    });
  }

  /** The session has to know first: a lease that came back sooner would be given out while the session thinks it is held. */
  async #release(): Promise<void> {
    await this.#link.drained();
    this.#end.signal.throwIfAborted();
    this.#giveBack();
  }

  #giveBack(): void {
    this.#forget();
    this.#end.abort(new Error("released"));
    this.#link.close();
    this.#needs.over(this);
  }

  /** The lease is over here, and the pool will hear of it. */
  #forget(): void {
    const { host, release } = this.#needs;
    const { sessionId } = this.assignment;
    host.database.transaction(() => {
      host.records.forget(sessionId);
      this.#outbox.drop();
      release({ sessionId, epoch: this.epoch });
    });
  }

  #kick(): void {
    this.#news();
    this.#bell.ring();
  }

  #say(message: FromHostData): void {
    if (!this.#end.signal.aborted) this.#link.send(message);
  }

  #linkEnded({ name, reason }: LinkEnd): void {
    const { host } = this.#needs;
    // The session took our `stopped` and closed the lease before its acknowledgement could leave.
    if (name === "stale_epoch" && host.records.lease(this.assignment.sessionId)?.phase === "stopped") {
      this.#giveBack();
      return;
    }
    this.#logger.warn({ close: name, reason }, "the data link has ended for good");
    if (name === "replaced") return;
    host.database.transaction(() => host.records.lose(this.assignment.sessionId));
    // A pool that still believes in this lease must not wait for its time: nobody works under it any more.
    this.#forget();
    void this.revoke(name).catch((error: unknown) => this.#logger.error({ err: error }, "could not clean up"));
  }
}
