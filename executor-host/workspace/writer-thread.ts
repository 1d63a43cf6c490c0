/**
 * A thread that helps the restore thread to write files. It trusts what it is told: the manifest is checked there before
 * anything is written.
 *
 *   restore thread ── begin ──────────────► reads the manifest, while it is being checked
 *                  ── write ──────────────► plans the same fetches
 *                  ── fetched ────────────► writes its share of the frames (frame-work.ts) ── wrote ──►
 *                  ── end ────────────────► says what it knows of its files ── ended ─►
 */
import { type MessagePort, workerData } from "node:worker_threads";
import type { Manifest } from "#protocol/snapshot.ts";
import { FileWriter, filesOf, type Lacking, type Owner } from "./file-writer.ts";
import { type Part, writeShare } from "./frame-work.ts";
import { parseManifest } from "./index-file.ts";
import { type Failed, failure } from "./restore-failure.ts";
import { type Fetch, planRestore } from "./restore-plan.ts";
import { packSeen } from "./signature.ts";

export type ToWriter =
  | { type: "begin"; text: Uint8Array; staging: string; owner?: Owner }
  /** `left`: the numbers of the files that are to be written, among the manifest's entries. */
  | { type: "write"; left: Int32Array; lacking: Lacking }
  | { type: "fetched"; part: Part }
  | { type: "end" };
export type FromWriter =
  | { type: "wrote"; at: number }
  | { type: "ended"; paths: string[]; seen: Float64Array<ArrayBuffer> }
  | Failed;
type Begun = { manifest: Manifest; staging: string; owner: Owner | undefined };

const { lead } = workerData as { lead: MessagePort };
let begun: Begun | undefined;
let work: { writer: FileWriter; fetches: Fetch[] } | undefined;

lead.on("message", (message: ToWriter) => {
  try {
    const answer = take(message);
    if (answer !== undefined) lead.postMessage(answer);
  } catch (error) {
    lead.postMessage(failure(error));
  }
});

function take(message: ToWriter): FromWriter | undefined {
  if (message.type === "begin") {
    const { text, staging, owner } = message;
    begun = { manifest: parseManifest(text), staging, owner };
    return undefined;
  }
  if (begun === undefined) throw new Error(`${message.type} before a restore has begun`);
  if (message.type === "write") {
    const files = filesOf(begun.manifest, message.left);
    const writer = new FileWriter(begun.staging, begun.owner, files, message.lacking);
    work = { writer, fetches: planRestore(begun.manifest, files) };
    return undefined;
  }
  if (work === undefined) throw new Error(`${message.type} before there is a plan`);
  if (message.type === "fetched") {
    writeShare(message.part, work.fetches, work.writer);
    return { type: "wrote", at: message.part.at };
  }
  const { finished } = work.writer;
  begun = undefined;
  work = undefined;
  return { type: "ended", paths: [...finished.keys()], seen: packSeen([...finished.values()]) };
}
