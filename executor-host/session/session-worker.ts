/**
 * The worker of one leased session on this host: none, being started, or live. Starting is shared by whoever asks
 * meanwhile. The workspace is made ready before a worker starts, and never under a live one.
 */
import { mkdir } from "node:fs/promises";
import type { Assignment, FromHostData, RunStart } from "#protocol/messages.ts";
import type { Provider } from "#protocol/vocabulary.ts";
import { sessionPaths } from "../config.ts";
import { workerUser } from "../container/container-spec.ts";
import type { Worker, WorkerEngine, WorkerExit } from "../container/port.ts";
import type { Logger } from "../logs.ts";
import type { Egress, HostNeeds } from "../needs.ts";
import type { Bases, StoreAccess } from "../workspace/port.ts";
import { finishInterruptedRestore } from "../workspace/restore-swap.ts";
import { RunFailed } from "./failure.ts";
import { layForRun, planWorkspace, setAside } from "./prepare-workspace.ts";
import { removeSpool } from "./spool-tail.ts";

/** A worker that runs; `gone` aborts when it has ended, with the exit as reason. */
export type LiveWorker = { worker: Worker; gone: AbortSignal };

/** The run that a worker is wanted for, and what its workspace has to be. */
export type WantedWorkspace = Pick<RunStart, "runId" | "provider" | "manifest"> & { snapshotId: string | undefined };

type Ingredients = { toolkitDir: string; image: string };

export type SessionWorkerNeeds = {
  host: HostNeeds;
  assignment: Assignment;
  logger: Logger;
  say(message: FromHostData): void;
  store: StoreAccess;
  /** The lease is lost or the daemon closes. */
  signal: AbortSignal;
  /** A worker that was live is gone and nobody had asked for it. */
  died(exit: WorkerExit): void;
};

export class SessionWorker {
  readonly #needs: SessionWorkerNeeds;
  readonly #paths: ReturnType<typeof sessionPaths>;
  #live: LiveWorker | undefined;
  #starting: Promise<LiveWorker> | undefined;
  /** What the first start needs of this host, asked for ahead of it. */
  #ahead: Promise<Ingredients> | undefined;
  #egress: Egress | undefined;
  /** Of the run that was last started here. */
  #provider: Provider | undefined;

  constructor(needs: SessionWorkerNeeds) {
    this.#needs = needs;
    this.#paths = sessionPaths(needs.host.paths, needs.assignment.sessionId);
  }

  live(): LiveWorker | undefined {
    return this.#live;
  }

  get engine(): WorkerEngine {
    const { host, assignment } = this.#needs;
    const engine = host.engine(assignment.vmMode);
    if (!engine) throw new RunFailed("container_failed", `This host cannot start ${assignment.vmMode} workers now.`);
    return engine;
  }

  /** A run is on its way: what its worker needs of this host, whatever the run is, is looked for meanwhile. */
  expectRun(): void {
    this.#ahead = this.#ingredients();
    // What is not there now may be there when it is needed: it is looked for again.
    this.#ahead.catch(() => undefined);
  }

  /** Takes over a worker that outlived the daemon. Its way out is opened again at the same place. */
  async adopt(worker: Worker): Promise<void> {
    this.#egress = await this.#openEgress();
    this.#watch(worker);
  }

  /**
   * The live worker, or a new one.
   * @param snapshotId what the workspace has to hold when it has to be set up first
   * @param runId the run it is for: an older attempt's spool is removed
   * @throws RunFailed, WorkerStartError, StoreError
   */
  async ensure(run: WantedWorkspace): Promise<LiveWorker> {
    this.#provider = run.provider;
    if (this.#live) {
      // Not in turn: a sync that is under way may take long, and bears changes like any the worker makes.
      this.#layRuntime(run);
      return this.#live;
    }
    this.#starting ??= this.#start(run).finally(() => {
      this.#starting = undefined;
    });
    return await this.#starting;
  }

  /** Ends the worker, if there is one, with everything in it. Resolves when it is gone. */
  async remove(graceMs: number): Promise<void> {
    // A start cannot be called off half-way; what it brings up is removed like any other.
    await this.#starting?.catch((error: unknown) => this.#needs.logger.info({ err: error }, "the start has failed"));
    const live = this.#live;
    this.#live = undefined;
    if (live) await this.engine.remove(live.worker, graceMs);
    await this.#closeEgress();
  }

  /** The daemon closes and the worker stays. */
  async leave(): Promise<void> {
    this.#live = undefined;
    await this.#closeEgress();
  }

  async #start(run: WantedWorkspace): Promise<LiveWorker> {
    const { host, assignment, logger, say } = this.#needs;
    const { sessionId, epoch } = assignment;
    say({ type: "worker.status", state: "starting" });
    const [{ toolkitDir, image }] = await Promise.all([
      this.#expected(),
      host.workspaceTurns.take(sessionId, async () => {
        await this.#prepareWorkspace(run.snapshotId);
        this.#layRuntime(run);
      }),
      removeSpool(this.#paths.run, run.runId),
    ]);
    this.#egress ??= await this.#openEgress();
    logger.info({ vmMode: assignment.vmMode }, "starting a worker");
    const worker = await this.engine.start({
      installationId: host.identity.installationId,
      hostId: host.identity.hostId,
      sessionId,
      epoch,
      image,
      workspaceDir: this.#paths.workspace,
      runDir: this.#paths.run,
      ...(this.#egress ? { egressDir: this.#egress.dir } : {}),
      toolkitDir,
      limits: host.settings.limits,
    });
    const live = this.#watch(worker);
    say({ type: "worker.status", state: "active" });
    return live;
  }

  #expected(): Promise<Ingredients> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    return ahead?.catch(() => this.#ingredients()) ?? this.#ingredients();
  }

  async #ingredients(): Promise<Ingredients> {
    const { host } = this.#needs;
    const [toolkitDir, image] = await Promise.all([host.toolkitDir(), this.engine.images ? host.image() : ""]);
    return { toolkitDir, image };
  }

  /** @throws RunFailed `workspace_failed` when the workspace is not, and cannot be made, what the run needs */
  #layRuntime({ runId, manifest }: WantedWorkspace): void {
    if (manifest === undefined) return;
    const logger = this.#needs.logger.child({ runId });
    layForRun({ root: this.#paths.workspace, manifest, ...this.#owner(), logger });
  }

  #owner(): { owner?: { uid: number; gid: number } } {
    const given = process.getuid?.() === 0 && this.#needs.assignment.vmMode !== "process";
    return given ? { owner: workerUser() } : {};
  }

  /** All bases belong to the workers' own user, and only containers are kept from changing what lies below a layer. */
  #bases(): { bases?: Bases } {
    const { host, assignment } = this.#needs;
    const bases = assignment.vmMode === "docker" && this.#owner().owner ? host.warmBases() : undefined;
    return bases ? { bases } : {};
  }

  async #prepareWorkspace(snapshotId: string | undefined): Promise<void> {
    const { host, assignment, logger, store, signal } = this.#needs;
    const { sessionId, epoch, traceId } = assignment;
    signal.throwIfAborted();
    const { workspace: root, sync: stateDir } = this.#paths;
    // Before anything is decided or made there: a swap that was broken off may have left no root at all.
    finishInterruptedRestore({ root, stateDir });
    const record = host.records.workspace(sessionId);
    // What was handed in is in the store, beside the session's own: it need not be set aside.
    const preserved = record !== undefined && host.records.isPreserved(sessionId, record.epoch);
    const known = record && { ...record, dirty: record.dirty && !preserved };
    const plan = planWorkspace(known, { snapshotId, epoch });
    if (plan === "set_aside_and_restore") {
      const kept = await setAside(this.#paths, known?.epoch ?? 0);
      logger.warn({ kept }, "files that were never saved made room for a newer snapshot");
    }
    await mkdir(root, { recursive: true, mode: 0o700 });
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    if (plan !== "keep" && snapshotId !== undefined) {
      const startedAt = host.clock.now();
      // Until it is there, the files are equal to no snapshot that anybody could name.
      host.records.setWorkspace(sessionId, { snapshotId: undefined, epoch: known?.epoch ?? 0, dirty: false });
      const restored = await host.restoreWorkspace({
        sessionId,
        root,
        stateDir,
        store,
        signal,
        traceId,
        snapshotId,
        ...this.#owner(),
        ...this.#bases(),
      });
      logger.info(
        { phase: "restore", ...restored, snapshotId, ms: host.clock.now() - startedAt },
        "workspace restored",
      );
    }
    // A worker is about to have it: from here on it may differ from the snapshot.
    host.records.setWorkspace(sessionId, { snapshotId: snapshotId ?? known?.snapshotId, epoch, dirty: true });
  }

  #watch(worker: Worker): LiveWorker {
    const gone = new AbortController();
    const live = { worker, gone: gone.signal };
    this.#live = live;
    void this.engine.exited(worker).then((exit) => {
      gone.abort(exit);
      // A daemon that has closed leaves what follows to the next one.
      if (this.#live !== live || this.#needs.signal.aborted) return;
      this.#live = undefined;
      this.#needs.died(exit);
    });
    return live;
  }

  async #openEgress(): Promise<Egress | undefined> {
    const { host, assignment } = this.#needs;
    return await host.openEgress(assignment, () => this.#provider);
  }

  async #closeEgress(): Promise<void> {
    const egress = this.#egress;
    this.#egress = undefined;
    await egress?.close();
  }
}
