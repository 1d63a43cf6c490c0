/**
 * A worker as Docker's create options. Pure: what is not in here, the container does not have.
 *
 * Disk. The root is read-only, /tmp, home, /dev/shm and every VOLUME of the image are memory with a size, and the
 * log is bounded, so the only disk a worker can write is its workspace and its run folder, both folders of the host.
 *   - A single file is bounded by the kernel (RLIMIT_FSIZE, `limits.fileBytes`).
 *   - The sum is not bounded here: Docker has no quota for bind mounts (`storage-opt size` bounds the container's own
 *     layer, which is read-only anyway). Whoever needs a hard sum puts the host's state folder on a file system with a
 *     quota; short of that the daemon measures the folders (session/disk-limit.ts) and ends a worker that takes too much.
 */
import { createHash } from "node:crypto";
import { labelsOf } from "./labels.ts";
import type { WorkerSpec } from "./port.ts";
import { PROXY_SOCKET, RUNNER_SOCKET } from "./socket-path.ts";

/** Where a worker finds things inside its container. */
export const INSIDE = {
  toolkit: "/opt/gantry",
  workspace: "/workspace",
  run: "/run/gantry",
  egress: "/run/egress",
  home: "/home/gantry",
} as const;

export type User = { uid: number; gid: number };

const dedicated: User = { uid: 10_001, gid: 10_001 };
const shmBytes = 64 * 1024 * 1024;

/**
 * Who the worker is, in the container and therefore as owner of the workspace on the host: a user of its own when the
 * daemon may give files away (root), else the daemon's own, the only one whose files both can write.
 */
export function workerUser(daemon: User = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }): User {
  return daemon.uid === 0 ? dedicated : daemon;
}

/** One name per installation and session, so that the engine itself refuses a second live worker of a session. */
export function containerName(installationId: string, sessionId: string): string {
  const installation = createHash("sha256").update(installationId).digest("hex").slice(0, 8);
  return `gantry-${installation}-${sessionId.replaceAll(/[^A-Za-z0-9_.-]/g, "_")}`;
}

/** What the engine can do, and what the image brings, as far as the options depend on it. */
export type EngineTraits = { init: boolean; imageVolumes: readonly string[]; runtime?: string };

/** Gives the body of Docker's `POST /containers/create`. */
export function containerOptions(spec: WorkerSpec, user: User, engine: EngineTraits) {
  return {
    name: containerName(spec.installationId, spec.sessionId),
    Image: spec.image,
    Hostname: "gantry",
    User: `${user.uid}:${user.gid}`,
    WorkingDir: INSIDE.workspace,
    // Never a secret: whoever runs in there can read it, and so can everybody who may ask the engine.
    Env: [`HOME=${INSIDE.home}`],
    Entrypoint: [`${INSIDE.toolkit}/node`],
    Cmd: runnerArguments(spec.egressDir !== undefined),
    // An image's own stop signal or health check would change what stopping and dying mean here.
    StopSignal: "SIGTERM",
    Healthcheck: { Test: ["NONE"] },
    AttachStdin: false,
    OpenStdin: false,
    Tty: false,
    Labels: labelsOf(spec),
    HostConfig: {
      ...confinement(engine),
      ...resources(spec),
      Mounts: mounts(spec),
      Tmpfs: tmpfs(spec, user, engine.imageVolumes),
      // Bounded, and kept by the engine: the last words of a runner that died must still be readable.
      LogConfig: { Type: "json-file", Config: { "max-size": "1m", "max-file": "1" } },
    },
  };
}

function runnerArguments(egress: boolean): string[] {
  const base = [
    `${INSIDE.toolkit}/runner.mjs`,
    ...["--socket", `${INSIDE.run}/${RUNNER_SOCKET}`],
    ...["--spool", `${INSIDE.run}/spool`],
  ];
  return egress ? [...base, "--egress-socket", `${INSIDE.egress}/${PROXY_SOCKET}`] : base;
}

/** Masked and read-only paths in /proc and the seccomp profile are Docker's defaults, which nothing here lifts. */
function confinement(engine: EngineTraits) {
  return {
    Privileged: false,
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges"],
    ReadonlyRootfs: true,
    NetworkMode: "none",
    IpcMode: "private",
    // The daemon decides about restarts; an engine that revives a worker after a reboot would run it without a lease.
    RestartPolicy: { Name: "no" },
    AutoRemove: false,
    ...(engine.init ? { Init: true } : {}),
    ...(engine.runtime === undefined ? {} : { Runtime: engine.runtime }),
  };
}

function resources({ limits }: WorkerSpec) {
  return {
    Memory: limits.memoryBytes,
    // Memory plus swap: equal means no swap.
    MemorySwap: limits.memoryBytes,
    NanoCpus: Math.round(limits.cpus * 1e9),
    PidsLimit: limits.pids,
    ShmSize: Math.min(shmBytes, limits.tmpBytes),
    // When the machine runs short, a worker goes before what runs beside it.
    OomKillDisable: false,
    OomScoreAdj: 500,
    // Only ever lowered: what the engine itself may not raise would keep the container from starting.
    Ulimits: [
      { Name: "core", Soft: 0, Hard: 0 },
      ...(limits.fileBytes === undefined ? [] : [{ Name: "fsize", Soft: limits.fileBytes, Hard: limits.fileBytes }]),
    ],
  };
}

/** Mounts, not Binds: a folder that is missing is an error then, and not made by the engine as root; `:` in a path is no matter. */
function mounts(spec: WorkerSpec) {
  const bind = (Source: string, Target: string, access: "ro" | "rw") => ({
    Type: "bind" as const,
    Source,
    Target,
    ReadOnly: access === "ro",
    BindOptions: { Propagation: "rprivate" as const },
  });
  return [
    bind(spec.toolkitDir, INSIDE.toolkit, "ro"),
    bind(spec.workspaceDir, INSIDE.workspace, "rw"),
    bind(spec.runDir, INSIDE.run, "rw"),
    // Connecting to a socket needs no write access to its folder.
    ...(spec.egressDir === undefined ? [] : [bind(spec.egressDir, INSIDE.egress, "ro")]),
  ];
}

function tmpfs({ limits }: WorkerSpec, user: User, imageVolumes: readonly string[]): Record<string, string> {
  const options = `rw,noexec,nosuid,nodev,size=${limits.tmpBytes}`;
  const own = `${options},mode=0700,uid=${user.uid},gid=${user.gid}`;
  // A VOLUME of the image would be a writable folder on the host's disk, without any bound.
  const covered = imageVolumes.filter((path) => !Object.values<string>(INSIDE).includes(path) && path !== "/tmp");
  return {
    ...Object.fromEntries(covered.map((path) => [path, own])),
    "/tmp": `${options},mode=1777`,
    [INSIDE.home]: own,
  };
}
