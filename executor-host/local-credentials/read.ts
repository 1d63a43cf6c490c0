/** Reads a referenced value at the moment of its use. It goes into a closure and nowhere else. */
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Environment, StatePaths } from "../config.ts";
import type { OwnKey } from "../egress/credentials.ts";
import { type Reference, readReferences } from "./references.ts";
import { SENDING } from "./types.ts";

export type Reading =
  | { state: "ready"; hint: string; expiresAt?: number; headers: () => Record<string, string> }
  | { state: "unready"; absent: boolean; message: string; fix: string; expiresAt?: number };

type Found = { value: string; siblings: Record<string, unknown> };

/** Never throws: whatever is in the way is said. Messages hold no value, and of a path its last two parts. */
export function readLocal(reference: Reference, env: Environment, now: number): Reading {
  const { name, kind, at } = reference;
  const { headers, expiresAt: endOf, renew } = SENDING[kind];
  const other = `or: gantry host credentials forget ${name}`;
  const unready = (message: string, fix: string, more: { absent?: boolean; expiresAt?: number } = {}): Reading => ({
    ...{ state: "unready", absent: false, message, fix: `${fix}, ${other}` },
    ...more,
  });
  const found = "variable" in at ? fromVariable(at.variable, env) : fromFile(at.file, at.field);
  if (typeof found === "string") {
    const { where, fix } =
      "variable" in at
        ? { where: at.variable, fix: `Start the daemon with ${at.variable} in its environment` }
        : { where: shortPath(at.file), fix: renew ?? "Set the key in that CLI again" };
    const message = `The local credential ${name} cannot be read: ${where} ${found}`;
    if (found === UNREADABLE) return unready(message, "Run the daemon as the file's owner");
    return unready(message, fix, { absent: true });
  }
  const { value, siblings } = found;
  // RFC 9110 §5.5: what is not visible ASCII cannot be in a header.
  if (!/^[\x21-\x7e]+$/.test(value))
    return unready(`The local credential ${name} holds characters that no key has.`, "Set it again");
  const expiresAt = endOf?.(value, siblings);
  if (expiresAt !== undefined && expiresAt <= now) {
    const when = new Date(expiresAt).toISOString();
    const message = `The local credential ${name} expired at ${when}. Gantry does not renew sign-ins; their CLI does.`;
    return unready(message, renew ?? "Sign in again", { expiresAt });
  }
  const hint = value.length >= 16 ? `…${value.slice(-4)}` : "…";
  return { state: "ready", hint, ...(expiresAt ? { expiresAt } : {}), headers: () => headers(value, siblings) };
}

/** What this host was told to use, as the egress proxy chooses from it. Never throws. */
export function ownKeys(paths: Pick<StatePaths, "localCredentials">, env: Environment, now: number): OwnKey[] {
  let references: Reference[];
  try {
    references = readReferences(paths);
  } catch {
    // Nobody can say which keys were meant: none is better than another one.
    const message = `${basename(paths.localCredentials)} in the host's folder is damaged.`;
    const fix = "Delete it and choose again: gantry host credentials";
    return (["anthropic", "openai"] as const).map((vendor) => ({ state: "unready", vendor, message, fix }));
  }
  return references.map((reference): OwnKey => {
    const { vendor, providers, base } = SENDING[reference.kind];
    const reading = readLocal(reference, env, now);
    const fits = { vendor, ...(providers ? { providers } : {}) };
    if (reading.state === "unready") return { state: "unready", ...fits, message: reading.message, fix: reading.fix };
    return { state: "ready", ...fits, headers: reading.headers, ...(base ? { defaultBase: base } : {}) };
  });
}

const UNREADABLE = "is not open to this user.";

function fromVariable(variable: string, env: Environment): Found | string {
  const value = env[variable]?.trim();
  return value ? { value, siblings: {} } : "is not set.";
}

function fromFile(file: string, field: readonly string[]): Found | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return "is gone.";
    return code === undefined ? "is not JSON." : UNREADABLE;
  }
  const parent = field.slice(0, -1).reduce((at, name) => inside(at, name), parsed);
  const value = inside(parent, field.at(-1) ?? "");
  if (typeof value !== "string" || value.trim() === "") return `has no ${field.join(".")}.`;
  return { value: value.trim(), siblings: parent as Record<string, unknown> };
}

function inside(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

function shortPath(file: string): string {
  return join(basename(dirname(file)), basename(file));
}
