/**
 * `gantry host credentials`: what the operator's own CLIs use on this machine, and which of it this host may use. Values
 * stay where they are; of each its last characters are shown.
 */
import { homedir } from "node:os";
import { type StatePaths, stateDirFrom, statePaths } from "../config.ts";
import { findLocal, type LocalCredential } from "../local-credentials/find.ts";
import { readLocal } from "../local-credentials/read.ts";
import { addReferences, dropReference, type Reference, readReferences } from "../local-credentials/references.ts";
import { SENDING } from "../local-credentials/types.ts";
import { CommandFailed, say } from "./output.ts";
import { tellDaemon } from "./tell-daemon.ts";

type Options = { state?: string; json?: true; yes?: true };
type Row = {
  name: string;
  owner: string;
  kind: string;
  state: "in_use" | "usable" | "unusable";
  hint?: string;
  expiresAt?: string;
  providers?: readonly string[];
  where?: string;
  reason?: string;
};

export async function credentialsCommand(options: Options): Promise<void> {
  const { paths, found, used } = look(options);
  if (options.yes) {
    const fit = found.flatMap((each) =>
      "reference" in each && each.reading.state === "ready" ? [each.reference] : [],
    );
    if (fit.length === 0) throw new CommandFailed("nothing was found that can be used; add a credential in the portal");
    await use(paths, fit);
    return;
  }
  const rows = [...found.map((each) => rowOf(each, used)), ...lost(found, used)];
  if (options.json) return say(JSON.stringify({ credentials: rows }));
  if (rows.length === 0)
    return say("Claude Code, Codex and opencode have no credentials here. Portal: Credentials, Add.");
  for (const row of rows) say(lineOf(row));
  if (rows.some(({ state }) => state === "usable"))
    say("Let this host use one: gantry host credentials use NAME; all that can be used: --yes");
}

export async function useCredentialCommand(name: string, options: Options): Promise<void> {
  const { paths, found } = look(options);
  const known = found.find((each) => nameOf(each) === name);
  if (!known) {
    const names = found.flatMap((each) => ("reference" in each ? [nameOf(each)] : []));
    throw new CommandFailed(`there is no credential "${name}" here; found: ${names.join(", ") || "none"}`, 2);
  }
  if (!("reference" in known)) throw new CommandFailed(`${name} cannot be used: ${known.why}`);
  if (known.reading.state === "unready") throw new CommandFailed(`${known.reading.message} ${known.reading.fix}`);
  await use(paths, [known.reference]);
}

export async function forgetCredentialCommand(name: string, options: Options): Promise<void> {
  const paths = statePaths(stateDirFrom(options.state, process.env));
  if (!dropReference(paths, name)) throw new CommandFailed(`this host does not use a credential "${name}"`, 2);
  say(`Forgotten: ${name}. It stays where its CLI keeps it.`);
  await tellDaemon(paths);
}

function look(options: Options) {
  const paths = statePaths(stateDirFrom(options.state, process.env));
  return { paths, found: findLocal(process.env, homedir(), Date.now()), used: readReferences(paths) };
}

async function use(paths: StatePaths, references: Reference[]): Promise<void> {
  addReferences(paths, references);
  for (const { name, at } of references) {
    const own = "variable" in at ? " The daemon needs the variable in its own environment." : "";
    say(`In use: ${name}, read where it is at each request.${own}`);
  }
  await tellDaemon(paths);
}

/** What is used and was not found: gone, or in a place that another environment named. */
function lost(found: readonly LocalCredential[], used: readonly Reference[]): Row[] {
  const names = new Set(found.map(nameOf));
  const gone = used.filter(({ name }) => !names.has(name));
  return gone.map((reference) =>
    rowOf({ owner: "", reference, reading: readLocal(reference, process.env, Date.now()) }, used),
  );
}

function nameOf(credential: LocalCredential): string {
  return "reference" in credential ? credential.reference.name : credential.name;
}

function rowOf(credential: LocalCredential, used: readonly Reference[]): Row {
  const { owner } = credential;
  if (!("reference" in credential))
    return { name: credential.name, owner, kind: "", state: "unusable", reason: credential.why };
  const { reference, reading } = credential;
  const { what, providers, vendor } = SENDING[reference.kind];
  const { at } = reference;
  const inUse = used.some(({ name }) => name === reference.name);
  return {
    ...{ name: reference.name, owner, kind: `${what} (${vendor})` },
    state: inUse ? "in_use" : reading.state === "ready" ? "usable" : "unusable",
    where: "variable" in at ? "environment" : at.file,
    ...(providers ? { providers } : {}),
    ...(reading.expiresAt === undefined ? {} : { expiresAt: new Date(reading.expiresAt).toISOString() }),
    ...(reading.state === "ready" ? { hint: reading.hint } : { reason: `${reading.message} ${reading.fix}` }),
  };
}

function lineOf({ name, kind, state, hint, expiresAt, where, reason }: Row): string {
  const words = { in_use: "in use", usable: "can be used", unusable: "cannot be used" }[state];
  const parts = [kind, hint, where, expiresAt && `until ${expiresAt}`, reason].filter(Boolean);
  return `${name.padEnd(24)} ${words.padEnd(15)} ${parts.join("  ")}`;
}
