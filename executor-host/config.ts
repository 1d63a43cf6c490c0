/**
 * Where a host keeps its things, and what an operator may set.
 *
 *   <state>/host.json        who this host is (no secret)
 *   <state>/host-key.json    its private key, mode 0600; host-encryption-key.json the one that credentials are sealed to
 *   <state>/settings.json    optional; what the operator set, same names as [settingsSchema]
 *   <state>/local-credentials.json   optional; which of the operator's own credentials are used: places, no values
 *   <state>/host.db          outboxes, leases, runs
 *   <state>/daemon.json      who holds this folder, the target of a link   (local/lock-file.ts)
 *   <state>/daemon.sock      its local API: status, drain             (local-api.ts)
 *   <state>/toolkit/         Node, runner and agent CLIs, mounted into workers
 *   <state>/sessions/<id>/   workspace/  sync/  kept/
 *   <state>/bases/           trees of snapshots that new sessions lie on   (workspace/warm-base.ts)
 *   <state>/run/<id>/        runner.sock and spool, shared with the worker (short: a socket's path has a limit)
 *   <state>/egress/<id>/     proxy.sock, shared with the worker
 *
 * Order of precedence: command line, environment, settings.json, built-in.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { availableParallelism, homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { acpAgentsSchema } from "#protocol/acp-agents.ts";

const MiB = 1024 * 1024;

export const identitySchema = z.object({
  hostId: z.string(),
  organizationId: z.string(),
  /** Origin of the control plane, no path. */
  controlUrl: z.string(),
  pool: z.string(),
  name: z.string(),
  /** Marks this installation's containers; survives joining again. */
  installationId: z.string(),
  labels: z.record(z.string().max(63), z.string().max(255)).default({}),
});
export type HostIdentity = z.infer<typeof identitySchema>;

export const settingsSchema = z.object({
  /** Session workers at once. */
  slots: z.number().int().min(1).max(1_000),
  /** Absent: whatever container/base-image.ts finds or makes. */
  image: z.string().min(1).optional(),
  limits: z.object({
    memoryBytes: z.number().int().positive(),
    cpus: z.number().positive(),
    pids: z.number().int().positive(),
    tmpBytes: z.number().int().positive(),
    /** Disk of a session's workspace and run folder together; a run that takes more is ended. */
    workspaceBytes: z.number().int().positive(),
  }),
  /** Trees of snapshots that are kept for new sessions although none lies on them; 0: none are made. */
  warmBases: z.number().int().min(0).max(1_000),
  /** workers as plain processes, without any isolation. Development only. */
  allowProcessMode: z.boolean(),
  logLevel: z.enum(["trace", "debug", "info", "warn", "error", "silent"]),
  /** A worker without work is saved and stopped after this time; absent: the session decides. */
  idleStopMs: z.number().int().positive().optional(),
  /** Agents of the provider `acp` besides the toolkit's own; see runner/adapters/acp/agents.ts. Values are seen by the agent: no keys. */
  acpAgents: acpAgentsSchema.optional(),
});
export type Settings = z.infer<typeof settingsSchema>;

/** What settings.json and the command line may say: any part of it. */
export const partialSettingsSchema = settingsSchema.extend({ limits: settingsSchema.shape.limits.partial() }).partial();
export type PartialSettings = z.infer<typeof partialSettingsSchema>;

export type Environment = Readonly<Record<string, string | undefined>>;

export type StatePaths = ReturnType<typeof statePaths>;

/** The layout under a state folder. */
export function statePaths(stateDir: string) {
  const root = resolve(stateDir);
  return {
    root,
    identity: join(root, "host.json"),
    key: join(root, "host-key.json"),
    encryptionKey: join(root, "host-encryption-key.json"),
    settings: join(root, "settings.json"),
    localCredentials: join(root, "local-credentials.json"),
    database: join(root, "host.db"),
    daemon: join(root, "daemon.json"),
    daemonSocket: join(root, "daemon.sock"),
    toolkit: join(root, "toolkit"),
    sessions: join(root, "sessions"),
    run: join(root, "run"),
    egress: join(root, "egress"),
    bases: join(root, "bases"),
  };
}

/** `--state`, else GANTRY_STATE, else ~/.gantry/host. */
export function stateDirFrom(option: string | undefined, env: Environment): string {
  return option ?? env.GANTRY_STATE ?? join(homedir(), ".gantry", "host");
}

/** Who this host is; undefined before `gantry host join`. @throws Error naming the file when it is damaged */
export function readIdentity(paths: StatePaths): HostIdentity | undefined {
  return existsSync(paths.identity) ? readJson(paths.identity, identitySchema) : undefined;
}

export function writeIdentity(paths: StatePaths, identity: HostIdentity): void {
  writeJson(paths.identity, identity);
}

/** @throws Error naming the file or the variable that is wrong */
export function readSettings(paths: StatePaths, env: Environment, options: PartialSettings = {}): Settings {
  const stored = existsSync(paths.settings) ? readJson(paths.settings, partialSettingsSchema) : {};
  const fromEnv = environmentSettings(env);
  const settings = { ...defaults(), ...stored, ...fromEnv, ...options };
  const limits = { ...defaults().limits, ...stored.limits, ...fromEnv.limits, ...options.limits };
  return settingsSchema.parse({ ...settings, limits });
}

function defaults(): Settings {
  return {
    slots: Math.max(2, availableParallelism()),
    limits: { memoryBytes: 4_096 * MiB, cpus: 2, pids: 1_024, tmpBytes: 1_024 * MiB, workspaceBytes: 10_240 * MiB },
    warmBases: 4,
    allowProcessMode: false,
    logLevel: "info",
  };
}

function environmentSettings(env: Environment): PartialSettings {
  const number = (name: string, factor = 1): number | undefined => {
    const text = env[name];
    if (text === undefined || text === "") return undefined;
    const value = Number(text) * factor;
    if (!Number.isFinite(value) || value <= 0) throw new Error(`${name} has to be a positive number, not "${text}"`);
    return value;
  };
  const found = {
    slots: number("GANTRY_SLOTS"),
    image: env.GANTRY_IMAGE || undefined,
    logLevel: env.GANTRY_LOG_LEVEL || undefined,
    warmBases: env.GANTRY_WARM_BASES === undefined ? undefined : Number(env.GANTRY_WARM_BASES),
    allowProcessMode: env.GANTRY_ALLOW_PROCESS_MODE === "1" ? true : undefined,
  };
  const limits = {
    memoryBytes: number("GANTRY_WORKER_MEMORY_MIB", MiB),
    cpus: number("GANTRY_WORKER_CPUS"),
    pids: number("GANTRY_WORKER_PIDS"),
    tmpBytes: number("GANTRY_WORKER_TMP_MIB", MiB),
    workspaceBytes: number("GANTRY_WORKSPACE_MIB", MiB),
  };
  return partialSettingsSchema.parse({ ...defined(found), limits: defined(limits) });
}

function defined(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

/** Reads and checks a JSON file. @throws Error naming the file */
export function readJson<T>(path: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    throw new Error(`${path} cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Writes a JSON file whole or not at all. */
export function writeJson(path: string, value: unknown, mode = 0o644): void {
  mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
  const unfinished = `${path}.${process.pid}.tmp`;
  writeFileSync(unfinished, `${JSON.stringify(value, null, 2)}\n`, { mode });
  renameSync(unfinished, path);
}

/** The folders of one session. */
export function sessionPaths(paths: StatePaths, sessionId: string) {
  const dir = join(paths.sessions, sessionId);
  return {
    workspace: join(dir, "workspace"),
    sync: join(dir, "sync"),
    /** Work that was never saved and had to make room; for a person to look at. */
    kept: join(dir, "kept"),
    run: join(paths.run, sessionId),
    egress: join(paths.egress, sessionId),
  };
}
