/** Whether work is safe, in words that claim no more than the events do. Pure. */
import type { HostRecord } from "#protocol/http.ts";
import type { KeptWork } from "#protocol/kept-work.ts";
import type { WorkspaceView } from "#protocol/session-view.ts";
import { plural } from "../format.ts";

/** Reasons of the store and the engine that people can do something about, by the word before the colon. */
const TITLES: Readonly<Record<string, string>> = {
  quota_exceeded: "Not saved: there is no room left in the quota",
  disk_full: "Not saved: the host's disk is full",
  store_unreachable: "Not saved: the store cannot be reached",
  workspace_unusable: "Not saved: the host cannot reach the files",
  stale_epoch: "Not saved: another host has the session",
};

/** A failed sync as a title and, below it, the host's own words. */
export function failureTexts({ reason }: Pick<NonNullable<WorkspaceView["failure"]>, "reason">): {
  title: string;
  words: string;
} {
  const [, code = "", message = ""] = /^([a-z_]+): (.*)$/s.exec(reason) ?? [];
  const known = TITLES[code];
  return { title: known ?? "Not saved", words: known === undefined ? reason : message };
}

export type KeptText = { text: string; snapshotId?: string; warn: boolean };

/** What a host that lost the session has, or has handed in; undefined when nothing says that it had anything. */
export function keptText(kept: KeptWork, host: Pick<HostRecord, "name" | "status"> | undefined): KeptText | undefined {
  const name = host?.name ?? kept.hostId;
  if (kept.state === "unknown") return undefined;
  if (kept.state === "preserved") {
    const text = `What host ${name} had not saved is in a snapshot of its own (${plural(kept.files, "file")}).`;
    return { text, snapshotId: kept.snapshotId, warn: false };
  }
  if (host?.status === "online")
    return { text: `Work that was not saved is kept on host ${name}, which hands it in as a snapshot.`, warn: true };
  const where = host === undefined ? "which is not there any more" : `which is ${host.status}`;
  const text = `Work that was not saved is kept on host ${name}, ${where}. When it is back, it hands it in as a snapshot.`;
  return { text, warn: true };
}
