import { useQuery } from "@tanstack/react-query";
import type { FileEntry } from "#protocol/http.ts";
import { LIMITS } from "#protocol/limits.ts";
import { api, type FilePlace } from "../api.ts";

/** One folder's own entries, folders first. */
export function useFolder(place: FilePlace, enabled = true) {
  return useQuery({
    queryKey: ["folder", place.sessionId, place.snapshotId, place.path ?? ""],
    enabled,
    retry: 1,
    // A snapshot never changes.
    staleTime: place.snapshotId ? Number.POSITIVE_INFINITY : 0,
    queryFn: async ({ signal }) => ({
      entries: childrenOf((await api.fileTree(place, signal)).entries, place.path ?? ""),
    }),
  });
}

/** The server may answer with one level or with everything below; shown is one level. */
export function childrenOf(entries: readonly FileEntry[], folder: string): FileEntry[] {
  const prefix = folder === "" ? "" : `${folder}/`;
  return entries
    .filter(
      (entry) =>
        entry.path.startsWith(prefix) && entry.path !== folder && !entry.path.slice(prefix.length).includes("/"),
    )
    .sort((a, b) => Number(b.kind === "directory") - Number(a.kind === "directory") || a.name.localeCompare(b.name));
}

export type Preview =
  | { kind: "text"; text: string }
  | { kind: "image"; bytes: Blob }
  | { kind: "binary" }
  | { kind: "large" }
  | { kind: "link"; target: string };

const PICTURES: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  bmp: "image/bmp",
  ico: "image/x-icon",
};
const MOST_PICTURE_BYTES = 12 * 1024 * 1024;

export function usePreview(place: FilePlace & { path: string }, entry: FileEntry | undefined) {
  return useQuery({
    queryKey: ["preview", place.sessionId, place.snapshotId, place.path],
    enabled: entry !== undefined && entry.kind !== "directory",
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
    retry: 1,
    queryFn: ({ signal }) => loadPreview(place, entry as FileEntry, signal),
  });
}

async function loadPreview(place: FilePlace, entry: FileEntry, signal: AbortSignal): Promise<Preview> {
  if (entry.kind === "link") return { kind: "link", target: entry.target ?? "" };
  const type = PICTURES[entry.name.split(".").at(-1)?.toLowerCase() ?? ""];
  if (entry.size > (type ? MOST_PICTURE_BYTES : LIMITS.previewBytes)) return { kind: "large" };
  const response = await api.file(place, signal);
  const bytes = await response.arrayBuffer();
  if (type) return { kind: "image", bytes: new Blob([bytes], { type }) };
  return textOf(new Uint8Array(bytes));
}

/** Text is what decodes as UTF-8 and has no NUL in it, as git sees it. */
export function textOf(bytes: Uint8Array): Preview {
  if (bytes.includes(0)) return { kind: "binary" };
  try {
    return { kind: "text", text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    // Told by a TypeError, the only one there can be: no text holds these bytes.
    return { kind: "binary" };
  }
}
