/** What every part of the daemon may ask for; built once, in main.ts. */
import type { Assignment } from "#protocol/messages.ts";
import type { Provider, VmMode } from "#protocol/vocabulary.ts";
import type { Clock } from "./clock.ts";
import type { HostIdentity, Settings, StatePaths } from "./config.ts";
import type { WorkerEngine } from "./container/port.ts";
import type { Database } from "./database.ts";
import type { DiskRoom } from "./disk-room.ts";
import type { HostAccess } from "./link/access.ts";
import type { Logger } from "./logs.ts";
import type { Records } from "./session/records.ts";
import type { Turns } from "./session/turns.ts";
import type { Bases, RestoreInput, RestoreResult, SyncInput, SyncResult } from "./workspace/port.ts";

/** A session's way out. `dir` is mounted into the worker and holds the proxy's socket. */
export type Egress = { dir: string; close(): Promise<void> };

export type HostNeeds = {
  identity: HostIdentity;
  settings: Settings;
  paths: StatePaths;
  database: Database;
  records: Records;
  disk: DiskRoom;
  access: HostAccess;
  clock: Clock;
  chance: () => number;
  logger: Logger;
  /** The engine for a mode that this host offers. */
  engine(vmMode: VmMode): WorkerEngine | undefined;
  /** The image that the next worker starts from. @throws WorkerStartError when there is none */
  image(): Promise<string>;
  /** The folder that is mounted at /opt/gantry; prepared before the first worker starts. */
  toolkitDir(): Promise<string>;
  /** @param provider of the session's run, or of its last one: asked at each request */
  openEgress(
    lease: Pick<Assignment, "sessionId" | "epoch" | "traceId">,
    provider: () => Provider | undefined,
  ): Promise<Egress | undefined>;
  /** By session id: whoever syncs, restores or moves a workspace takes a turn. */
  workspaceTurns: Turns;
  /** Where new workspaces find trees that this host has made once; undefined where it cannot be. */
  warmBases(): Bases | undefined;
  syncWorkspace(input: SyncInput): Promise<SyncResult>;
  /** Files of a lease that was lost. */
  handInWorkspace(input: SyncInput): Promise<SyncResult>;
  restoreWorkspace(input: RestoreInput): Promise<RestoreResult>;
};
