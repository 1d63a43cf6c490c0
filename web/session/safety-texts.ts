/** Whether the last save went well, in words that claim no more than the event does. Pure. */
import type { WorkspaceView } from "#protocol/workspace-view.ts";
import { plural } from "../format.ts";

/** Reasons of the store and the engine that people can do something about, by the word before the colon. */
const TITLES: Readonly<Record<string, string>> = {
  quota_exceeded: "Not saved: there is no room left in the quota",
  disk_full: "Not saved: the host's disk is full",
  store_unreachable: "Not saved: the store cannot be reached",
  workspace_unusable: "Not saved: the host cannot reach the files",
  stale_epoch: "Not saved: another host has the session",
};

/** How much is not saved. A host that does not know, or is too old to say, says nothing: then neither do we. */
export function unsavedText({ files }: Pick<NonNullable<WorkspaceView["failure"]>, "files">): string | undefined {
  return files === undefined || files === 0 ? undefined : `${plural(files, "changed file")} not saved`;
}

/** A failed sync as a title and, below it, the host's own words. */
export function failureTexts({ reason }: Pick<NonNullable<WorkspaceView["failure"]>, "reason">): {
  title: string;
  words: string;
} {
  const [, code = "", message = ""] = /^([a-z_]+): (.*)$/s.exec(reason) ?? [];
  const known = TITLES[code];
  return { title: known ?? "Not saved", words: known === undefined ? reason : message };
}
