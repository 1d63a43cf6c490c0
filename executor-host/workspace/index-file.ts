/**
 * What the host remembers of its last sync or restore, in `stateDir`:
 *
 *   current.json               { snapshotId }                  replaced last, in one step
 *   <snapshotId>.manifest      the manifest's text             checked against the id when it is read
 *   <snapshotId>.index         path → signature (signature.ts)
 *
 * Losing any of it costs time, never content: the next sync reads everything again.
 */
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Manifest } from "#protocol/snapshot.ts";
import { codeOf } from "./errors.ts";
import { sha256 } from "./read-content.ts";
import type { Signature, Signatures } from "./signature.ts";

export type LastSnapshot = { snapshotId: string; signatures: Signatures };

const INDEX_VERSION = 2;

/** The id of the last snapshot of this workspace; undefined when nothing usable is there. */
export function readCurrentId(stateDir: string): string | undefined {
  const current = readJson(join(stateDir, "current.json")) as { snapshotId?: unknown } | undefined;
  const id = current?.snapshotId;
  return typeof id === "string" && /^[0-9a-f]{64}$/.test(id) ? id : undefined;
}

/** The last snapshot of this workspace; undefined when nothing usable is there. */
export function readLast(stateDir: string): LastSnapshot | undefined {
  const snapshotId = readCurrentId(stateDir);
  if (snapshotId === undefined) return undefined;
  const index = readJson(join(stateDir, `${snapshotId}.index`)) as
    | { version?: unknown; signatures?: [string, Signature][] }
    | undefined;
  const usable = index?.version === INDEX_VERSION && Array.isArray(index.signatures);
  return { snapshotId, signatures: new Map(usable ? index.signatures : []) };
}

/** The text of a manifest that was kept; undefined when it is not there or not what it was. */
export function readManifestText(stateDir: string, snapshotId: string): Uint8Array | undefined {
  const bytes = readIfThere(join(stateDir, `${snapshotId}.manifest`));
  return bytes !== undefined && sha256(bytes) === snapshotId ? bytes : undefined;
}

/** Says which files a snapshot has in the state folder: equal when nobody has put others there; undefined when one is missing. */
export function stampOf(stateDir: string, snapshotId: string): string | undefined {
  const parts: string[] = [snapshotId];
  for (const ending of ["manifest", "index"]) {
    const stats = lstatSync(join(stateDir, `${snapshotId}.${ending}`), { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    parts.push(`${stats.size} ${stats.mtimeMs} ${stats.ctimeMs} ${stats.ino}`);
  }
  return parts.join(" ");
}

export function parseManifest(text: Uint8Array): Manifest {
  return JSON.parse(Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString("utf8")) as Manifest;
}

/** Puts a snapshot's files beside the current ones; [makeCurrent] makes them count. */
export function keepSnapshot(
  stateDir: string,
  snapshotId: string,
  text: Uint8Array | undefined,
  signatures: Signatures,
): void {
  mkdirSync(stateDir, { recursive: true });
  if (text !== undefined) replaceFile(join(stateDir, `${snapshotId}.manifest`), text);
  const index = JSON.stringify({ version: INDEX_VERSION, signatures: [...signatures] });
  replaceFile(join(stateDir, `${snapshotId}.index`), index);
}

/**
 * Links what state folders keep into another one, beside its current snapshot: the manifest of `snapshotId` from `manifestFrom`,
 * and as its index that of the current snapshot of `indexFrom`, which has the same tree. Files here are never written again.
 */
export function shareSnapshot(
  { manifestFrom, indexFrom }: { manifestFrom: string; indexFrom: string },
  to: string,
  snapshotId: string,
): void {
  mkdirSync(to, { recursive: true });
  linkFile(join(manifestFrom, `${snapshotId}.manifest`), join(to, `${snapshotId}.manifest`));
  linkFile(join(indexFrom, `${readCurrentId(indexFrom)}.index`), join(to, `${snapshotId}.index`));
}

function linkFile(from: string, to: string): void {
  if (from === to) return;
  rmSync(to, { force: true });
  linkSync(from, to);
}

/** Is there a snapshot that the workspace is compared with? */
export function hasCurrent(stateDir: string): boolean {
  return existsSync(join(stateDir, "current.json"));
}

/** From here on `snapshotId` is what the workspace is compared with. Files of other snapshots go. */
export function makeCurrent(stateDir: string, snapshotId: string): void {
  if (readCurrentId(stateDir) !== snapshotId)
    replaceFile(join(stateDir, "current.json"), JSON.stringify({ snapshotId }));
  for (const name of readdirSync(stateDir)) {
    if (/^[0-9a-f]{64}\.(manifest|index)/.test(name) && !name.startsWith(snapshotId)) unlinkSync(join(stateDir, name));
  }
}

/** Forgets that the workspace equals any snapshot. */
export function forgetCurrent(stateDir: string): void {
  rmSync(join(stateDir, "current.json"), { force: true });
}

function replaceFile(path: string, content: string | Uint8Array): void {
  writeFileSync(`${path}.new`, content, { flush: true, mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function readJson(path: string): unknown {
  const bytes = readIfThere(path);
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // Damaged: as if it were lost.
    throw error;
  }
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
