import { expect, test } from "vitest";
import type { KeptWork } from "#protocol/workspace-view.ts";
import { keptText } from "../../web/session/kept-text.ts";
import { failureTexts, unsavedText } from "../../web/session/safety-texts.ts";

test("[R-3.2] a failed sync says what is wrong in its title", () => {
  expect(failureTexts({ reason: "quota_exceeded: The session uses 2 GB of 2 GB." })).toEqual({
    title: "Not saved: there is no room left in the quota",
    words: "The session uses 2 GB of 2 GB.",
  });
  expect(failureTexts({ reason: "disk_full: ENOSPC" }).title).toBe("Not saved: the host's disk is full");
  const odd = "http_418: a teapot";
  expect(failureTexts({ reason: odd })).toEqual({ title: "Not saved", words: odd });
});

test("[R-3.2] [P-41] how much is not saved is said when the host has said it, and only then", () => {
  expect(unsavedText({ files: 3 })).toBe("3 changed files not saved");
  expect(unsavedText({ files: 1 })).toBe("1 changed file not saved");
  expect(unsavedText({ files: 0 })).toBeUndefined();
  expect(unsavedText({})).toBeUndefined();
});

test("[R-3.2] work on a lost host is said to lie there, and no better than it is", () => {
  const lost = { hostId: "hst_1", epoch: 1, at: 0 };
  const unsaved: KeptWork = { ...lost, state: "unsaved" };
  expect(keptText(unsaved, { name: "box", status: "offline" })).toEqual({
    text: "Work that was not saved is kept on host box, which is offline. When it is back, it hands it in as a snapshot.",
    warn: true,
  });
  expect(keptText(unsaved, { name: "box", status: "online" })?.text).toContain("which hands it in as a snapshot");
  expect(keptText(unsaved, undefined)?.text).toContain("hst_1, which is not there any more");
  expect(keptText({ ...lost, state: "unknown" }, undefined)).toBeUndefined();
  const handedIn: KeptWork = { ...lost, state: "preserved", snapshotId: "a", files: 3 };
  expect(keptText(handedIn, { name: "box", status: "offline" })).toEqual({
    text: "What host box had not saved is in a snapshot of its own (3 files).",
    snapshotId: "a",
    warn: false,
  });
});
