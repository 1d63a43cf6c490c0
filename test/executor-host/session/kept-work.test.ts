/** A host that lost a lease with unsaved files: they are handed in, and never overwrite anything (SPEC [S-47]). */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { sessionPaths } from "../../../executor-host/config.ts";
import { StoreError } from "../../../executor-host/workspace/port.ts";
import { HeldClock } from "../../support/held-clock.ts";
import { HostUnderTest, SESSION } from "./host-under-test.ts";

let under: HostUnderTest;
afterEach(() => under.stop());
const paths = () => sessionPaths(under.paths, SESSION);
const away = async () => {
  throw new StoreError("unavailable", "away", true);
};

/** A run under epoch 1 has written a file that no sync has brought anywhere. */
async function unsaved(options: Parameters<typeof HostUnderTest.start>[0] = {}): Promise<void> {
  under = await HostUnderTest.start(options);
  under.sync = away;
  await under.lease();
  await under.run();
  writeFileSync(join(paths().workspace, "unsaved.txt"), "work");
}
async function revoke(): Promise<void> {
  under.plane.control.send({ type: "lease.revoked", sessionId: SESSION, epoch: 1, reason: "host was silent" });
  await under.engine.removals.next();
}

test("[S-47] revoked with unsaved files: they are handed in under the lost epoch, and stay", async () => {
  await unsaved();
  let found = "";
  under.handIn = async ({ root }) => {
    found = readFileSync(join(root, "unsaved.txt"), "utf8");
  };
  await revoke();
  const { store, root } = await under.handedIn.next();
  expect([store.epoch, new URL(store.url).pathname, root]).toEqual([
    1,
    new URL(under.plane.assignment(SESSION, 1).storeUrl, under.plane.url).pathname,
    paths().workspace,
  ]);
  expect(found).toBe("work");
  expect(existsSync(join(paths().workspace, "unsaved.txt"))).toBe(true);
});

/** Unsaved work whose lease is lost while the store is away: it waits to be handed in again. */
async function keptInVain(): Promise<HeldClock> {
  const clock = new HeldClock();
  await unsaved({ clock });
  under.handIn = away;
  await revoke();
  await under.handedIn.next();
  await clock.timer((delayMs) => delayMs === 1_000);
  return clock;
}

test("[S-47] what could not be handed in is tried again, and by the next daemon", async () => {
  const clock = await keptInVain();
  clock.advance(1_000);
  await under.handedIn.next();
  await under.host.close();
  under.handIn = async () => {};
  await under.launch();
  await under.handedIn.next();
  await under.host.close();
  const tries = under.handedIn.all.length;
  await under.launch();
  await under.lease(2);
  expect(under.handedIn.all).toHaveLength(tries);
});

test("[S-47] the session comes back with newer files before: set aside, restored, then handed in from there", async () => {
  const clock = await keptInVain();
  under.data().forget();
  await under.lease(2);
  await under.run({ snapshotId: "c".repeat(64) });
  let found = "";
  under.handIn = async ({ root }) => {
    found = readFileSync(join(root, "unsaved.txt"), "utf8");
  };
  clock.advance(60_000);
  const { root, store } = await under.handedIn.next();
  expect([found, store.epoch, root.startsWith(paths().kept)]).toEqual(["work", 1, true]);
});

test("[S-47] handed in before: the newer files are restored in place, without another copy", async () => {
  await unsaved();
  const done = Promise.withResolvers<void>();
  under.handIn = async () => done.resolve();
  await revoke();
  await done.promise;
  // The pass that handed it in has ended.
  await under.host.close();
  await under.launch();
  under.data().forget();
  await under.lease(2);
  await under.run({ snapshotId: "c".repeat(64) });
  expect(under.restores.all.map(({ snapshotId }) => snapshotId)).toEqual(["c".repeat(64)]);
  expect(existsSync(paths().kept)).toBe(false);
});
