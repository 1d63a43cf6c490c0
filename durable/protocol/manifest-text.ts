/**
 * A manifest as text, and the delta between two of them.
 *
 *   {"version":1,"sessionId":"…","parent":"…","createdAt":0,
 *   "packs":[
 *    {"hash":…}
 *   ,{"hash":…}
 *   ],
 *   "entries":[
 *    …
 *   ],
 *   "omitted":[
 *   ]}
 *
 * It is JSON, and it is lines: two manifests share most of them byte for byte, and a reader with little memory takes one
 * item at a time. The same manifest always gives the same text.
 */
import type { Delta, Manifest } from "./snapshot.ts";

/** The manifest's text as UTF-8; its SHA-256 is the snapshot's id. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const { version, sessionId, parent, createdAt } = manifest;
  const text = [
    `${JSON.stringify({ version, sessionId, parent, createdAt }).slice(0, -1)},`,
    '"packs":[',
    ...items(manifest.packs),
    "],",
    '"entries":[',
    ...items(manifest.entries),
    "],",
    '"omitted":[',
    ...items(manifest.omitted),
    "]}\n",
  ].join("\n");
  return new TextEncoder().encode(text);
}

/** The comma leads its line, so that adding after the last one leaves the last one's line alone. */
function items(list: readonly unknown[]): string[] {
  return list.map((item, at) => (at === 0 ? " " : ",") + JSON.stringify(item));
}

/** What is done with each item of a list, in order; whatever it gives back is kept. */
export type ItemReader = (list: "packs" | "entries" | "omitted", item: unknown) => unknown;
export type DecodedManifest = { head: unknown; packs: unknown[]; entries: unknown[]; omitted: unknown[] };

/** Reads the lines of a text. Throws SyntaxError or TypeError when it is not laid out as above, and what `read` throws. */
export function decodeManifest(text: Uint8Array, read: ItemReader = (_, item) => item): DecodedManifest {
  const lines = eachLine(text);
  const next = (): string => {
    const { done, value } = lines.next();
    if (done) throw new SyntaxError("the text ends too early");
    return value;
  };
  const first = next();
  if (!first.endsWith(",\n")) throw new SyntaxError("the first line is not that of a manifest");
  const list = (name: "packs" | "entries" | "omitted", end: string): unknown[] => {
    if (next() !== `"${name}":[\n`) throw new SyntaxError(`the list of ${name} is not where it should be`);
    const out: unknown[] = [];
    for (let line = next(); line !== end; line = next()) {
      if (!line.startsWith(out.length === 0 ? " " : ",")) throw new SyntaxError(`a line of ${name} is out of shape`);
      out.push(read(name, JSON.parse(line.slice(1))));
    }
    return out;
  };
  const head: unknown = JSON.parse(`${first.slice(0, -2)}}`);
  const decoded = {
    head,
    packs: list("packs", "],\n"),
    entries: list("entries", "],\n"),
    omitted: list("omitted", "]}\n"),
  };
  if (!lines.next().done) throw new SyntaxError("something follows the manifest");
  return decoded;
}

/**
 * The items of one list as JSON text, one at a time, for a reader that compares more than it parses: equal items have equal
 * text. Only for a text that was checked before it was stored; one that is laid out otherwise ends early.
 */
export function* itemTexts(text: Uint8Array, list: "packs" | "entries" | "omitted"): Generator<string> {
  let inside = false;
  for (const line of eachLine(text)) {
    if (inside && line.startsWith("]")) return;
    if (inside) yield line.slice(1, -1);
    else inside = line === `"${list}":[\n`;
  }
}

/** So many lines of the base are looked at beyond the last copy before a line counts as new. */
const LINES_AHEAD = 8;
/** After so many new lines in a row the base may go on anywhere: then all its lines are looked up. */
const NEW_IN_A_ROW = 16;

/** What turns `base` into `next`, by whole lines. Never wrong, only longer, when lines repeat or moved. */
export function diffManifest(base: Uint8Array, next: Uint8Array): Delta {
  const [baseText, nextText] = [characterPerByte(base), characterPerByte(next)];
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const delta: Delta = [];
  let places: Map<string, number> | undefined;
  let goesOnAt = 0;
  let newInARow = 0;
  for (let start = 0; start < nextText.length; ) {
    const line = lineAt(nextText, start);
    let place = placeAhead(baseText, goesOnAt, line);
    if (place === undefined && ++newInARow > NEW_IN_A_ROW) {
      places ??= linePlaces(baseText);
      place = places.get(line);
    }
    const last = delta.at(-1);
    if (place === undefined) {
      const text = decoder.decode(next.subarray(start, start + line.length));
      if (typeof last === "string") delta[delta.length - 1] = last + text;
      else delta.push(text);
    } else {
      if (Array.isArray(last) && last[0] + last[1] === place) last[1] += line.length;
      else delta.push([place, line.length]);
      goesOnAt = place + line.length;
      newInARow = 0;
    }
    start += line.length;
  }
  return delta;
}

function placeAhead(text: string, from: number, line: string): number | undefined {
  for (let ahead = 0, start = from; ahead < LINES_AHEAD && start < text.length; ahead++) {
    if (text.startsWith(line, start)) return start;
    start += lineAt(text, start).length;
  }
  return undefined;
}

function linePlaces(text: string): Map<string, number> {
  const places = new Map<string, number>();
  for (let start = 0; start < text.length; ) {
    const line = lineAt(text, start);
    places.set(line, start);
    start += line.length;
  }
  return places;
}

/** Bytes as a string in which each is a character of its own: for comparing, and its offsets are those of the bytes. */
function characterPerByte(bytes: Uint8Array): string {
  return new TextDecoder("windows-1252").decode(bytes);
}

/** With its newline. */
function lineAt(text: string, start: number): string {
  const newline = text.indexOf("\n", start);
  return text.slice(start, newline === -1 ? text.length : newline + 1);
}

/** So much is decoded in one go, and the rest of its last line: one call for each of thousands of lines costs more. */
const BLOCK_BYTES = 64 * 1024;

function* eachLine(bytes: Uint8Array): Generator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(10, start + BLOCK_BYTES - 1);
    const end = newline === -1 ? bytes.length : newline + 1;
    const block = decoder.decode(bytes.subarray(start, end));
    for (let from = 0; from < block.length; ) {
      const line = lineAt(block, from);
      yield line;
      from += line.length;
    }
    start = end;
  }
}

/**
 * The text that `delta` makes of `base`. Throws when a copy lies outside of `base` or the result would exceed `maxBytes`;
 * the length is checked before anything is copied.
 */
export function applyDelta(base: Uint8Array, delta: Delta, maxBytes: number): Uint8Array {
  const encoder = new TextEncoder();
  const parts = delta.map((op) => {
    if (typeof op === "string") return encoder.encode(op);
    if (op[0] + op[1] > base.length) throw new RangeError("the delta copies from outside of its base");
    return base.subarray(op[0], op[0] + op[1]);
  });
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  if (total > maxBytes) throw new RangeError(`the delta makes ${total} bytes, more than ${maxBytes}`);
  const out = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
