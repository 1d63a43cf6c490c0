/**
 * The runner of this checkout, bundled once for all tests: a host that finds it in its folder starts without bundling it
 * again, 0.9 s of CPU. How a folder gets a toolkit of its own is what executor-host/toolkit and local/start.test.ts test.
 */
import { createHash } from "node:crypto";
import { chmodSync, existsSync, linkSync, mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { withLock } from "../../executor-host/local/lock-file.ts";
import { repositoryDir } from "../../executor-host/local/repository.ts";
import { prepareToolkit } from "../../executor-host/toolkit/toolkit.ts";

const lockWaitMs = 60_000;

/** Beside the folders of the tests' hosts: files are linked from there, not copied. */
const shared = join(
  tmpdir(),
  `gantry-test-toolkit-${createHash("sha256").update(repositoryDir).digest("hex").slice(0, 16)}`,
);
await withLock(`${shared}.lock`, lockWaitMs, () => prepareToolkit({ dir: shared }));

/** Gives a toolkit folder Node and the runner, unless somebody has made it already or no file can be linked into it. */
export function giveRunner(dir: string): void {
  if (existsSync(dir)) return;
  mkdirSync(dirname(dir), { recursive: true, mode: 0o700 });
  mkdirSync(dir);
  chmodSync(dir, 0o755);
  try {
    for (const name of ["node", "runner.mjs", "stamp.json"]) linkSync(join(shared, name), join(dir, name));
  } catch (error) {
    // Another file system, a user who may not: that host makes its own.
    if (!["EPERM", "EXDEV", "EMLINK", "ENOTSUP"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    rmSync(dir, { recursive: true });
  }
}
