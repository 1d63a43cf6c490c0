/**
 * The port behind which a session's worker runs: Docker (dockerode, sealed) or a plain process (development only).
 * The daemon knows only this; it finds its workers again after a restart through `find`.
 */
import type { Readable } from "node:stream";
import type { VmMode } from "#protocol/vocabulary.ts";

export type WorkerLimits = {
  memoryBytes: number;
  cpus: number;
  pids: number;
  /** Size of the in-memory /tmp and of the in-memory home, in bytes each; counts towards `memoryBytes`. */
  tmpBytes: number;
  /** Largest single file that the worker may write, in bytes. container-spec.ts says what bounds the disk, and what cannot. */
  fileBytes?: number;
};

export type WorkerSpec = {
  /** Stable id of this installation of the host, so that two hosts on one machine never reap each other. */
  installationId: string;
  hostId: string;
  sessionId: string;
  epoch: number;
  image: string;
  /** On the host: mounted read-write at /workspace. */
  workspaceDir: string;
  /** On the host, a folder of this worker only, with a short path (socket-path.ts); the runner makes runner.sock and its spool here. Mounted read-write at /run/gantry. */
  runDir: string;
  /** On the host: mounted read-only at /run/egress; holds proxy.sock of the egress proxy. Absent: no way out at all. */
  egressDir?: string;
  /** On the host: mounted read-only at /opt/gantry; `node`, `runner.mjs`, the agent CLIs. */
  toolkitDir: string;
  limits: WorkerLimits;
};

/** A worker as it runs now. `socketPath` is where the runner's API answers, as seen from the host. */
export type Worker = {
  /** Container id, or `pid:<pid>:<start time>` in process mode. */
  id: string;
  sessionId: string;
  epoch: number;
  socketPath: string;
};

/** `WorkerExit.exitCode` of a worker that is gone without anybody having seen how it ended. */
export const EXIT_UNSEEN = -1;

/**
 * Why a worker ended, from the engine's own words. A death by signal is `128 + signal number`, as a shell says it.
 * `outOfMemory`: the worker itself was killed for want of memory (a child that was killed so is not the worker's end).
 */
export type WorkerExit = { exitCode: number; outOfMemory: boolean; signal?: string };

export interface WorkerEngine {
  readonly vmMode: VmMode;
  /** Where its workers' images are; absent: its workers need none, and `WorkerSpec.image` is not looked at. */
  readonly images?: ImageStore;
  /** Can this engine start workers here and now? `reason` and `fix` are for people. */
  available(): Promise<{ ok: true; version: string } | { ok: false; reason: string; fix: string }>;
  /**
   * Starts the worker; resolves when the runner's /health answers. Rejects with WorkerStartError, and then nothing of
   * the try is left. A worker of the session that still runs is an error: remove it first.
   */
  start(spec: WorkerSpec): Promise<Worker>;
  /** The workers of this installation that run now, found by their labels. */
  find(installationId: string): Promise<Worker[]>;
  /** Resolves when the worker has ended; never rejects. Works for workers that were found, too. */
  exited(worker: Worker): Promise<WorkerExit>;
  /** Ends and removes the worker with everything in it: SIGTERM, then SIGKILL after `graceMs`. Idempotent. */
  remove(worker: Worker, graceMs: number): Promise<void>;
  /** Removes what is left of dead workers of this installation (exited containers, stale sockets); gives their ids. */
  reap(installationId: string): Promise<{ removed: string[] }>;
}

export type NewImage = {
  repository: string;
  tag: string;
  labels: Record<string, string>;
  environment: Record<string, string>;
};

/** The images of a container engine. Every method rejects when the engine does not answer. */
export interface ImageStore {
  has(image: string): Promise<boolean>;
  /** @param progress how far it is, often; @throws Error in the registry's or the engine's words */
  pull(image: string, progress: (line: string) => void, signal: AbortSignal): Promise<void>;
  /** Makes an image whose only layer is the tar; its name is set last, and moves from an older image of that name. */
  make(image: NewImage, tar: Readable, signal: AbortSignal): Promise<void>;
  withLabel(label: string): Promise<{ id: string; createdAtMs: number; names: string[] }[]>;
  /** False when it is still used, or gone already. */
  removeUnused(id: string): Promise<boolean>;
}

/** Starting a worker failed; `evidence` holds the engine's or the runner's last words. */
export class WorkerStartError extends Error {
  readonly evidence: string;

  constructor(message: string, evidence: string) {
    super(message);
    this.name = "WorkerStartError";
    this.evidence = evidence;
  }
}
