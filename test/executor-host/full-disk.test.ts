/** The host's database, and a daemon that starts, on a disk without a free byte; mounting a small one needs root. */
import { rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Database } from "../../executor-host/database.ts";
import { createOutboxTables, Outbox } from "../../executor-host/link/outbox.ts";
import { HostFolder, killed } from "../support/host-process.ts";
import { sharedControlPlane } from "../support/shared-control-plane.ts";
import { fill, mountSmall, unmount } from "../support/small-disk.ts";

let folder: HostFolder;
let dir: string;
let mounted = false;
beforeEach(() => {
  folder = new HostFolder({ GANTRY_ALLOW_PROCESS_MODE: "1", GANTRY_NETWORK: "none" });
  dir = folder.dir;
  if (process.platform !== "linux" || process.getuid?.() !== 0) return;
  try {
    mountSmall(dir, 256);
    mounted = true;
  } catch (error) {
    console.warn(`no small file system here: ${String(error)}`);
  }
});
afterEach(async () => {
  if (mounted) unmount(dir);
  mounted = false;
  await folder.remove();
});

test("what has to be written on a full disk finds room: words, acknowledgements, again and again", (context) => {
  if (!mounted) return context.skip();
  const database = new Database(join(dir, "host.db"));
  database.keepReserve();
  createOutboxTables(database);
  const outbox = new Outbox(database, "link", 1);
  fill(join(dir, "hog"));
  expect(statfsSync(dir).bavail).toBe(0);
  // More than the reserve over time, and never more than a part of it at once.
  for (let n = 1; n <= 2_000; n++) {
    expect(outbox.append("x".repeat(4_000))).toBe(n);
    if (n % 100 === 0) expect(outbox.acknowledge(n)).toBe(true);
  }
  expect(outbox.position()).toMatchObject({ sent: 2_000, bytes: 0 });
  database.close();
});

test.each(["SIGKILL", "SIGTERM"] as const)(
  "a daemon that starts on a full disk lives, says so, takes no work, and begins when there is room; the one before ended with %s",
  async (signal) => {
    if (!mounted) return;
    const plane = await sharedControlPlane();
    await folder.join(plane);
    const status = async () =>
      JSON.parse((await folder.gantry(["host", "status", "--json"])).stdout) as { control?: string; diskFull?: string };
    const before = folder.daemon();
    await expect.poll(async () => (await status()).control, { timeout: 20_000 }).toBe("live");
    await killed(before, signal);
    fill(join(dir, "hog"));
    expect(statfsSync(dir).bavail).toBe(0);

    const daemon = folder.daemon();
    try {
      await expect
        .poll(async () => (await status()).diskFull, { timeout: 20_000 })
        .toContain("The disk of this host is full");
      expect(daemon.exitCode).toBeNull();
      expect((await folder.gantry(["host", "status"])).stdout).toContain(
        "disk           The disk of this host is full",
      );
      rmSync(join(dir, "hog"));
      await expect.poll(async () => (await status()).control, { timeout: 20_000 }).toBe("live");
      expect(await status()).not.toHaveProperty("diskFull");
    } catch (error) {
      throw new Error(`${error}: ${daemon.log.slice(-5).join("")}`);
    } finally {
      await killed(daemon);
    }
  },
);
