/** Where the unsaved work of a host lies that lost the session, in words. Pure. */
import type { HostRecord } from "#protocol/http.ts";
import type { KeptWork } from "#protocol/workspace-view.ts";
import { plural } from "../format.ts";

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
