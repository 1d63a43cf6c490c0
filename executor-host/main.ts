/**
 * The executor host as one value: [startHost] wires everything and starts it. Nothing else constructs these parts.
 *
 *   drain       no new work; what runs may end; each session is saved and given back
 *   cancelAll   the same, and runs are stopped
 *   close       the daemon ends and the workers stay: the next daemon goes on where this one was
 */
import type { HostFacts } from "#protocol/messages.ts";
import type { VmMode } from "#protocol/vocabulary.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { Environment, HostIdentity, Settings, StatePaths } from "./config.ts";
import { ensureImage } from "./container/base-image.ts";
import { DockerEngine } from "./container/docker.ts";
import type { WorkerEngine } from "./container/port.ts";
import { ProcessEngine } from "./container/process.ts";
import { Control } from "./control.ts";
import { DiskRoom, type Obstacle } from "./disk-room.ts";
import { HostKeys } from "./egress/host-keys.ts";
import { type GatheredFacts, gatherFacts } from "./facts.ts";
import { readHostKey } from "./host-key.ts";
import { diskFull, type HostStatus } from "./host-status.ts";
import { connectHost } from "./identity.ts";
import { HostAccess } from "./link/access.ts";
import type { LinkEnd } from "./link/link.ts";
import { outboxBacklog } from "./link/outbox.ts";
import { LiveSettings, readLiveConfig } from "./live-config.ts";
import type { Logger, Logs } from "./logs.ts";
import { ModeLog } from "./mode-log.ts";
import type { HostNeeds } from "./needs.ts";
import { openState } from "./open-state.ts";
import { providerReadiness } from "./providers.ts";
import { watchIdle } from "./session/idle-watch.ts";
import { KeptWork } from "./session/kept-work.ts";
import { Records } from "./session/records.ts";
import { Sessions } from "./session/sessions.ts";
import { sweepHost } from "./session/sweep.ts";
import { Turns } from "./session/turns.ts";
import { placeAcpAgents } from "./toolkit/acp-agents.ts";
import { CliHealth } from "./toolkit/cli-health.ts";
import { prepareToolkit } from "./toolkit/toolkit.ts";
import { WorkerImage, type WorkerImageNeeds } from "./worker-image.ts";
import { handInWorkspace } from "./workspace/hand-in.ts";
import { hostBases, unmountIdle } from "./workspace/host-bases.ts";
import { restoreWorkspace } from "./workspace/restore.ts";
import { warmRestoreThreads } from "./workspace/restore-threads.ts";
import { syncWorkspace } from "./workspace/sync.ts";

export type HostConfig = { paths: StatePaths; identity: HostIdentity; settings: Settings; env: Environment };

/** What a test replaces; peers and clocks, nothing of ours. */
export type HostDependencies = {
  logger: Logger;
  setLogLevel?: Logs["setLevel"];
  clock?: Clock;
  chance?: () => number;
  fetch?: typeof fetch;
  engines?: WorkerEngine[];
  toolkit?: { dir(): Promise<string>; providers(): Promise<HostFacts["providers"]> };
  /** How much room a folder's disk has. */
  freeBytes?: (dir: string) => Promise<number>;
  workspace?: Pick<HostNeeds, "syncWorkspace" | "handInWorkspace" | "restoreWorkspace">;
  openEgress?: HostNeeds["openEgress"];
  /** The control plane will not have this host any more; the daemon has nothing left to do. */
  ended?: (end: LinkEnd) => void;
  /** It cannot begin yet, and does when this is over. */
  waiting?: (obstacle: Obstacle) => void;
};

export type Host = {
  drain(reason: string): Promise<void>;
  cancelAll(reason: string): Promise<void>;
  close(): Promise<void>;
  facts(): Promise<HostFacts>;
  /** Something that the facts depend on was changed from outside: looks again and tells the pool. */
  look(): Promise<void>;
  status(): HostStatus;
};

/** Starts the daemon. Resolves when leases and workers of an earlier one are taken over and the pool is being dialled. */
export async function startHost(config: HostConfig, dependencies: HostDependencies): Promise<Host> {
  const { host, image, control, sessions, gather, endIdleWatch, kept } = await wire(config, dependencies);
  const modeLog = new ModeLog(host.logger);
  let lastFacts: HostFacts | undefined;
  const facts = async () => {
    const gathered = await gather();
    modeLog.heard(gathered.modes);
    lastFacts = gathered.facts;
    sessions.offers(lastFacts.vmModes);
    return lastFacts;
  };
  control.factsFrom(facts);
  await host.disk.look();
  const { vmModes } = await facts();
  await sessions.restore();
  control.start();
  kept.look();
  // So that the first run of a session does not wait for it. A failure shows again, with its run, when a worker needs it.
  host.toolkitDir().catch((error: unknown) => host.logger.error({ err: error }, "the toolkit could not be prepared"));
  // The first restore would wait for them.
  if (dependencies.workspace === undefined) warmRestoreThreads();
  host.logger.info({ modes: vmModes }, "the host is up");

  const empty = async (work: Promise<void>): Promise<void> => {
    await control.factsChanged();
    await work;
    await control.drained();
  };
  return {
    drain: (reason) => empty(sessions.drain(reason)),
    cancelAll: (reason) => empty(sessions.cancelAll(reason)),
    close: async () => {
      control.close();
      endIdleWatch();
      host.disk.close();
      image.close();
      await sessions.close();
      await kept.close();
      // With a lease its worker may still run: the next daemon goes on with it.
      unmountIdle(host.paths, (sessionId) => host.records.lease(sessionId) === undefined);
      host.database.close();
    },
    facts,
    look: () => control.factsChanged(),
    status: () => ({
      hostId: host.identity.hostId,
      name: host.identity.name,
      controlUrl: host.identity.controlUrl,
      control: control.state,
      draining: sessions.draining,
      facts: lastFacts,
      sessions: sessions.describe(),
      outbox: outboxBacklog(host.database),
      ...diskFull(host.disk.obstacle),
    }),
  };
}

async function wire(config: HostConfig, dependencies: HostDependencies) {
  const { paths, identity, env } = config;
  const clock = dependencies.clock ?? systemClock;
  const chance = dependencies.chance ?? Math.random;
  const logger = dependencies.logger.child({ hostId: identity.hostId });
  const http = { fetch: dependencies.fetch ?? fetch, now: () => clock.now() };

  const key = await readHostKey(paths);
  const disk = new DiskRoom({ dir: paths.root, clock, logger, freeBytes: dependencies.freeBytes });
  const { database, sealedTo } = await openState(paths, disk, (obstacle) => dependencies.waiting?.(obstacle));
  const access = new HostAccess(() => connectHost(identity, { key, encryptionKey: sealedTo.publicKey }, http), clock);
  const engines = dependencies.engines ?? chooseEngines(config);
  const keys = new HostKeys({
    ...{ identity, paths, env, clock, logger, fetch: http.fetch, key: sealedTo },
    token: (refused) => access.token(refused),
    kindsChanged: () => void control.factsChanged(),
  });
  const toolkit = dependencies.toolkit ?? realToolkit(config, keys, () => void control.factsChanged());
  const changed = () => void control.factsChanged();
  const live = new LiveSettings(config.settings);
  const settings = live.current;
  const image = workerImage(engines, { settings, clock, logger, changed });

  const host: HostNeeds = {
    identity,
    settings,
    paths,
    database,
    records: new Records(database),
    disk,
    access,
    clock,
    chance,
    logger,
    engine: (vmMode: VmMode) => engines.find((engine) => engine.vmMode === vmMode),
    image: () => image.forWorker(),
    toolkitDir: toolkit.dir,
    openEgress: dependencies.openEgress ?? ((lease, provider) => keys.openEgress(lease, provider)),
    workspaceTurns: new Turns(),
    warmBases: hostBases(paths, settings, logger),
    syncWorkspace,
    handInWorkspace,
    restoreWorkspace,
    ...dependencies.workspace,
  };
  const applyConfig = (update: Record<string, unknown>) => {
    const change = readLiveConfig(update, logger);
    if (change.credentials) keys.changed();
    live.change(change);
    dependencies.setLogLevel?.(settings.logLevel);
    void control.factsChanged();
  };
  const sessions: Sessions = new Sessions({
    host,
    engines,
    release: (lease) => control.gaveUp("lease.release", lease),
    config: applyConfig,
    opens: (sessionId) => kept.giveWay(sessionId),
    closed: () => kept.look(),
  });
  const kept: KeptWork = new KeptWork(host, (sessionId) => sessions.busy(sessionId));
  const gather = (): Promise<GatheredFacts> =>
    gatherFacts({
      identity,
      settings,
      engines,
      image: (how) => image.state(how),
      providers: toolkit.providers,
      draining: () => sessions.draining,
      obstacle: () => host.disk.obstacle,
    });
  const control: Control = new Control({
    hostId: identity.hostId,
    database,
    access,
    clock,
    chance,
    logger: logger.child({ component: "control" }),
    sessions,
    drain: (reason) => {
      sessions.pause(reason);
      void control.factsChanged();
    },
    drainOver: () => {
      sessions.resume();
      void control.factsChanged();
    },
    config: applyConfig,
    sweep: () =>
      sweepHost({
        host,
        engines,
        transaction: (work) => database.transaction(work),
        removed: (workspace) => control.gaveUp("workspace.removed", workspace),
        busy: (sessionId) => sessions.busy(sessionId),
      }),
    ended: (end) => {
      logger.error({ ...end }, "the control plane does not want this host any more: join it again");
      dependencies.ended?.(end);
    },
  });
  disk.watch(changed);
  const endIdleWatch = watchIdle({ clock, sessions, idleStopMs: () => settings.idleStopMs });
  return { host, image, control, sessions, gather, endIdleWatch, kept };
}

/** Docker always (it may come up later), micro-VMs where the operator names a runtime, processes only where allowed. */
function chooseEngines({ settings, paths, env }: HostConfig): WorkerEngine[] {
  const engines: WorkerEngine[] = [new DockerEngine()];
  if (env.GANTRY_MICROVM_RUNTIME) engines.push(new DockerEngine({ microVmRuntime: env.GANTRY_MICROVM_RUNTIME }));
  if (settings.allowProcessMode) engines.push(new ProcessEngine({ runRoot: paths.run }));
  return engines;
}

/** One for all engines: they are modes of one Docker engine. */
function workerImage(
  engines: readonly WorkerEngine[],
  { settings, logger, ...needs }: Pick<WorkerImageNeeds, "clock" | "logger" | "changed"> & { settings: Settings },
): WorkerImage {
  const images = engines.find((engine) => engine.images)?.images;
  const log = logger.child({ component: "image" });
  return new WorkerImage({
    ...needs,
    wanted: () => settings.image,
    ensure: (wanted, signal) => {
      if (!images) throw new Error("No engine of this host has images.");
      return ensureImage(wanted, { images, signal, log: (line) => log.info(line) });
    },
    has: async (image) => (await images?.has(image)) ?? false,
    logger: log,
  });
}

function realToolkit({ paths, settings }: HostConfig, keys: HostKeys, changed: () => void) {
  const health = new CliHealth(changed);
  let prepared: Promise<string> | undefined;
  return {
    /** Built once per daemon; a failure is not kept, so that the next worker tries again. */
    dir: (): Promise<string> => {
      prepared ??= prepareToolkit({ dir: paths.toolkit })
        .then(({ dir }) => placeAcpAgents(dir, settings.acpAgents).then(() => dir))
        .catch((error: unknown) => {
          prepared = undefined;
          throw error;
        });
      return prepared;
    },
    providers: () => providerReadiness(paths, keys.upstreams(), Object.keys(settings.acpAgents ?? {}), health.reason),
  };
}
