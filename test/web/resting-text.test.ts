import { expect, test } from "vitest";
import type { Whereabouts } from "#protocol/whereabouts.ts";
import { fullTime } from "../../web/format.ts";
import { restingText } from "../../web/session/resting-text.ts";

const AT = Date.UTC(2026, 0, 2, 3, 4);
const SNAPSHOT = "a".repeat(64);
const warm = { files: "warm", hostId: "hst_1", snapshotId: SNAPSHOT } as const;
const text = (where: Exclude<Whereabouts, { files: "worker" }>) => restingText(where, () => "studio", AT);
const snapshot = `the snapshot of ${fullTime(AT)}`;

test("[R-3.1] a stopped worker: where the files are, and what the next prompt does", () => {
  expect(text({ ...warm, host: "online", next: "start" })).toEqual({
    state: "Stopped, files kept warm on studio",
    next: `The next prompt starts there at once; on another host it restores ${snapshot}.`,
  });
  expect(text({ ...warm, host: "offline", next: "restore" })).toEqual({
    state: "Stopped, files kept warm on studio, which is offline",
    next: `The next prompt restores ${snapshot} on another host.`,
  });
  expect(text({ ...warm, host: "removed", next: "restore" }).state).toContain("which was removed");
  expect(text(warm)).toEqual({ state: "Stopped, files kept warm on studio" });
});

test("[R-3.1] after a long stop the files are said to be in the store, and who had them", () => {
  expect(text({ files: "store", snapshotId: SNAPSHOT, removedFrom: "hst_1", next: "restore" })).toEqual({
    state: "No worker, files in the store",
    next: `The next prompt restores ${snapshot}. studio has removed its copy.`,
  });
  expect(text({ files: "store", snapshotId: SNAPSHOT, next: "restore" }).next).toBe(
    `The next prompt restores ${snapshot}.`,
  );
  expect(text({ files: "none" })).toEqual({ state: "No worker, and nothing saved yet" });
});
