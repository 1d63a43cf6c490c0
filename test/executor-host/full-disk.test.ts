/** The host's database on a disk without a free byte; mounting a small one needs root. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Database } from "../../executor-host/database.ts";
import { createOutboxTables, Outbox } from "../../executor-host/link/outbox.ts";

let dir: string;
let mounted = false;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gd-"));
  if (process.platform !== "linux" || process.getuid?.() !== 0) return;
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", dir], { stdio: "pipe" });
    mounted = true;
  } catch (error) {
    console.warn(`no small file system here: ${String(error)}`);
  }
});
afterEach(() => {
  if (mounted) execFileSync("umount", ["-l", dir]);
  mounted = false;
  rmSync(dir, { recursive: true, force: true });
});

/** Writes until nothing more fits. */
function fill(): void {
  const file = openSync(join(dir, "hog"), "w");
  for (const size of [65_536, 1])
    try {
      while (writeSync(file, Buffer.alloc(size)) > 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  closeSync(file);
}

test("what has to be written on a full disk finds room: words, acknowledgements, again and again", (context) => {
  if (!mounted) return context.skip();
  const database = new Database(join(dir, "host.db"));
  database.keepReserve();
  createOutboxTables(database);
  const outbox = new Outbox(database, "link", 1);
  fill();
  expect(statfsSync(dir).bavail).toBe(0);
  // More than the reserve over time, and never more than a part of it at once.
  for (let n = 1; n <= 2_000; n++) {
    expect(outbox.append("x".repeat(4_000))).toBe(n);
    if (n % 100 === 0) expect(outbox.acknowledge(n)).toBe(true);
  }
  expect(outbox.position()).toMatchObject({ sent: 2_000, bytes: 0 });
  database.close();
});
