/**
 * The lines that changed, for a list of changes, out of the packs of two snapshots. Bounded in everything: files looked at,
 * bytes read, steps of comparing, characters answered. What is over a bound says so, and can be asked for alone.
 */
import type { ChangeText } from "#protocol/changes.ts";
import { chunksOf } from "#protocol/manifest-check.ts";
import { itemTexts } from "#protocol/manifest-text.ts";
import type { Manifest, SnapshotEntry, SnapshotFile, SnapshotPack } from "#protocol/snapshot.ts";
import type { Pair } from "./compare.ts";
import { FrameSource, StoreDamage } from "./frames.ts";
import type { Shelf } from "./keys.ts";
import { MOST_STEPS, textDiff } from "./line-diff.ts";
import type { ObjectStore } from "./object-store.ts";
import { readParts } from "./read.ts";

const KiB = 1024;
export type TextBounds = { files: number; fileBytes: number; answerChars: number };
/** With a list of changes: each file may cost two requests to the store. */
export const LIST_BOUNDS: TextBounds = { files: 60, fileBytes: 256 * KiB, answerChars: 512 * KiB };
/** For one file that was asked for by name. */
export const FILE_BOUNDS: TextBounds = { files: 1, fileBytes: 1024 * KiB, answerChars: 4 * 1024 * KiB };

/** A snapshot to read from: its manifest's text, undefined for "nothing was there". */
export type Side = { shelf: Shelf; text: Uint8Array | undefined };

/**
 * What to say about the content of each of `pairs`; undefined where there is nothing to say. Throws StoreDamage where the
 * store is damaged, not where it has pruned.
 */
export async function changeTexts(
  store: ObjectStore,
  sides: { from: Side; to: Side },
  pairs: readonly Pair[],
  bounds: TextBounds,
): Promise<(ChangeText | undefined)[]> {
  const readable = pairs.filter((pair) => wantsText(pair) && fits(pair, bounds)).slice(0, bounds.files);
  const from = sourceOf(store, sides.from, readable.map(({ before }) => before).filter(isFile));
  const to = sourceOf(store, sides.to, readable.map(({ after }) => after).filter(isFile));
  const effort = { steps: MOST_STEPS };
  const chosen = new Set(readable);
  let chars = 0;
  const texts: (ChangeText | undefined)[] = [];
  for (const pair of pairs) {
    if (!wantsText(pair)) texts.push(undefined);
    else if (!fits(pair, bounds)) texts.push({ state: "too_large" });
    else if (!chosen.has(pair) || chars > bounds.answerChars) texts.push({ state: "left_out" });
    else {
      const text = await textOf(from, to, pair, effort);
      const length = text.state === "lines" ? charsOf(text.hunks) : 0;
      const over = chars > 0 && chars + length > bounds.answerChars;
      if (!over) chars += length;
      texts.push(over ? { state: "left_out" } : text);
    }
  }
  return texts;
}

/** Content of a file that is, or was, and is not the same. */
function wantsText({ change, before, after }: Pair): boolean {
  return change !== "mode" && change !== "renamed" && (isFile(before) || isFile(after));
}

function fits({ before, after }: Pair, { fileBytes }: TextBounds): boolean {
  return [before, after].every((entry) => !isFile(entry) || entry.size <= fileBytes);
}

async function textOf(
  from: FrameSource,
  to: FrameSource,
  { before, after }: Pair,
  effort: { steps: number },
): Promise<ChangeText> {
  try {
    const old = isFile(before) ? await decoded(from, before) : "";
    const now = isFile(after) ? await decoded(to, after) : "";
    if (old === undefined || now === undefined) return { state: "binary" };
    const { coarse, ...diff } = textDiff(old, now, effort);
    return { state: "lines", ...diff, ...(coarse ? { coarse } : {}) };
  } catch (error) {
    if (error instanceof StoreDamage && error.gone) return { state: "gone" };
    throw error;
  }
}

/** Text is what decodes as UTF-8 and has no NUL in it, as git sees it; undefined for everything else. */
async function decoded(source: FrameSource, file: SnapshotFile): Promise<string | undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text = "";
  try {
    for await (const bytes of readParts(source, file)) {
      if (bytes.includes(0)) return undefined;
      text += decoder.decode(bytes, { stream: true });
    }
    return text + decoder.decode();
  } catch (error) {
    if (error instanceof TypeError) return undefined; // Not UTF-8.
    throw error;
  }
}

/** Knows only the frames that `files` need: a whole manifest, parsed, takes several times its text. */
function sourceOf(store: ObjectStore, { shelf, text }: Side, files: readonly SnapshotFile[]): FrameSource {
  const wanted = new Set(files.flatMap(chunksOf));
  const packs: SnapshotPack[] = [];
  for (const item of text === undefined || wanted.size === 0 ? [] : itemTexts(text, "packs")) {
    const pack = JSON.parse(item) as SnapshotPack;
    const frames = pack.frames.filter(({ chunks }) => chunks.some(({ hash }) => wanted.has(hash)));
    if (frames.length > 0) packs.push({ ...pack, frames });
  }
  const manifest: Manifest = { version: 1, sessionId: shelf.sessionId, createdAt: 0, packs, entries: [], omitted: [] };
  return new FrameSource(store, shelf, manifest, files);
}

function isFile(entry: SnapshotEntry | undefined): entry is SnapshotFile {
  return entry?.kind === "file";
}

function charsOf(hunks: readonly { lines: readonly string[] }[]): number {
  return hunks.reduce((sum, { lines }) => lines.reduce((chars, line) => chars + line.length + 4, sum + 80), 0);
}
