/**
 * Two manifests side by side. Both are sorted by path, and what did not change is the same text in both (manifest-text.ts),
 * so most lines are compared and never parsed: two workspaces of 100,000 files fit into an isolate together.
 */
import type { Change } from "#protocol/changes.ts";
import { itemTexts } from "#protocol/manifest-text.ts";
import { AGENT_FOLDER, type SnapshotEntry, type SnapshotFile } from "#protocol/snapshot.ts";

/** `before` and `after` differ, or one of them is missing. With `renamed` they have different paths and the same content. */
export type Pair = { change: Change; before?: SnapshotEntry; after?: SnapshotEntry };

const NOTHING = new Uint8Array();

/**
 * Every difference, in the order of the paths. Times alone are none: a file that was written again with the same content
 * did not change. A folder is one only when it is empty or its mode changed; otherwise its files say it.
 * @param from text of the older manifest; undefined: nothing was there
 */
export function compareManifests(from: Uint8Array | undefined, to: Uint8Array, hidden: "show" | "hide"): Pair[] {
  const pairs: Pair[] = [];
  const left = new Cursor(from ?? NOTHING);
  const right = new Cursor(to);
  while (left.text !== undefined || right.text !== undefined) {
    const before = left.text === right.text ? undefined : left.entry();
    const after = left.text === right.text ? undefined : right.entry();
    // Which side is behind. Equal texts and equal paths move on together.
    const order = before?.path === after?.path ? 0 : !after || (before && before.path < after.path) ? -1 : 1;
    if (order < 0) pairs.push({ change: "removed", before: before! });
    else if (order > 0) pairs.push({ change: "added", after: after! });
    else if (before && after) pairs.push(...bothOf(before, after));
    if (order <= 0) left.next();
    if (order >= 0) right.next();
  }
  const shown = hidden === "show" ? pairs : pairs.filter((pair) => !isHidden(pathOf(pair)));
  return withRenames(withoutFullFolders(shown)).sort((a, b) => (pathOf(a) < pathOf(b) ? -1 : 1));
}

/** The path that a change goes by: the new one, or the old one of what is gone. */
export function pathOf({ before, after }: Pair): string {
  return (after ?? before)!.path;
}

/** A place in a manifest's entries; the entry is parsed when it is asked for. */
class Cursor {
  readonly #texts: Generator<string>;
  text: string | undefined;
  #entry: SnapshotEntry | undefined;

  constructor(manifest: Uint8Array) {
    this.#texts = itemTexts(manifest, "entries");
    this.next();
  }

  next(): void {
    const { done, value } = this.#texts.next();
    this.text = done ? undefined : value;
    this.#entry = undefined;
  }

  entry(): SnapshotEntry | undefined {
    if (this.text === undefined) return undefined;
    this.#entry ??= JSON.parse(this.text) as SnapshotEntry;
    return this.#entry;
  }
}

function bothOf(before: SnapshotEntry, after: SnapshotEntry): Pair[] {
  const same =
    (before.kind === "file" && after.kind === "file" && before.hash === after.hash) ||
    (before.kind === "link" && after.kind === "link" && before.target === after.target) ||
    (before.kind === "directory" && after.kind === "directory");
  if (!same) return [{ change: "modified", before, after }];
  return before.mode === after.mode ? [] : [{ change: "mode", before, after }];
}

/** What is in a folder that came or went says it already. */
function withoutFullFolders(pairs: Pair[]): Pair[] {
  const full = { added: new Set<string>(), removed: new Set<string>() };
  for (const { change, before, after } of pairs) {
    if (change !== "added" && change !== "removed") continue;
    const { path } = (before ?? after)!;
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      if (full[change].has(path.slice(0, at))) break;
      full[change].add(path.slice(0, at));
    }
  }
  return pairs.filter(({ change, before, after }) => {
    const only = (before ?? after)!;
    return only.kind !== "directory" || (change !== "added" && change !== "removed") || !full[change].has(only.path);
  });
}

/** A file that went and one that came with the same content are one file that moved. Empty files are all alike, and stay. */
function withRenames(pairs: Pair[]): Pair[] {
  const gone = new Map<string, SnapshotFile[]>();
  for (const { change, before } of pairs) {
    if (change !== "removed" || before?.kind !== "file" || before.size === 0) continue;
    const same = gone.get(before.hash);
    if (same === undefined) gone.set(before.hash, [before]);
    else same.push(before);
  }
  if (gone.size === 0) return pairs;
  const moved = new Set<SnapshotEntry>();
  const out = pairs.map((pair): Pair => {
    const { change, after } = pair;
    const same = change === "added" && after?.kind === "file" ? gone.get(after.hash) : undefined;
    if (same === undefined || same.length === 0) return pair;
    const name = lastName(after!.path);
    const at = Math.max(
      same.findIndex((file) => lastName(file.path) === name),
      0,
    );
    const [before] = same.splice(at, 1);
    moved.add(before!);
    return { change: "renamed", before: before!, after: after! };
  });
  return out.filter(({ change, before }) => change !== "removed" || !moved.has(before!));
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function isHidden(path: string): boolean {
  return path === AGENT_FOLDER || path.startsWith(`${AGENT_FOLDER}/`);
}
