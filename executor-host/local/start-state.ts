/**
 * What `npm start` keeps in its state folder, so that a second start picks up where the first stopped:
 *
 *   lock           the running start
 *   secrets.json   made once; losing it makes sealed credentials unreadable and all tokens invalid
 *   start.json     the service token of scripts, the port, the mode
 *   workerd/       D1, R2, objects          host/   the local host's own folder
 *
 * The folder is for its owner only (0700), and so is every file with a secret (0600).
 */
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { tryLock } from "./lock-file.ts";

const secretsSchema = z.object({ SIGNING_KEY: z.string(), ENCRYPTION_KEY: z.string(), BOOTSTRAP_TOKEN: z.string() });
export type Secrets = z.infer<typeof secretsSchema>;

const recordSchema = z.object({
  port: z.number().optional(),
  serviceToken: z.string().optional(),
  /** The organisation's default was set to `process` by us, because Docker did not answer. */
  processMode: z.boolean().optional(),
});
export type StartRecord = z.infer<typeof recordSchema>;

export type StartState = {
  dir: string;
  hostDir: string;
  secrets: Secrets;
  record: StartRecord;
  save: (change: StartRecord) => void;
  release: () => void;
};

/** Opens the folder for this process alone. @throws Error for people when another start holds it or a file is damaged */
export function openState(stateDir: string): StartState {
  const dir = resolve(stateDir);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const lock = tryLock(join(dir, "lock"));
  if ("heldBy" in lock) {
    throw new Error(
      `Gantry already runs with ${dir} (process ${lock.heldBy.pid}). Stop it first, or give --state another folder.`,
    );
  }
  const recordFile = join(dir, "start.json");
  const record = existsSync(recordFile) ? readChecked(recordFile, recordSchema) : {};
  return {
    dir,
    hostDir: join(dir, "host"),
    secrets: ensureSecrets(join(dir, "secrets.json")),
    record,
    save: (change) => writePrivate(recordFile, Object.assign(record, change)),
    release: lock.release,
  };
}

/** Random secrets without a Worker of one's own, for tests. */
export function newSecrets(): Secrets {
  const secret = () => randomBytes(32).toString("base64url");
  return { SIGNING_KEY: secret(), ENCRYPTION_KEY: secret(), BOOTSTRAP_TOKEN: secret() };
}

function ensureSecrets(file: string): Secrets {
  if (!existsSync(file)) writePrivate(file, newSecrets());
  return readChecked(file, secretsSchema);
}

function readChecked<T>(file: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    throw new Error(`${file} cannot be used: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

function writePrivate(file: string, value: unknown): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
