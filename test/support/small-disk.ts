/** A small file system in memory in place of a folder, and filling it; mounting needs root. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";

export function mountSmall(dir: string, mib: number): void {
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mib}m`, "tmpfs", dir], { stdio: "pipe" });
}

export function unmount(dir: string): void {
  execFileSync("umount", ["-l", dir]);
}

/** Writes until nothing more fits. */
export function fill(path: string): void {
  const file = openSync(path, "w");
  for (let size = 1024 * 1024; size >= 1; size = size / 16) {
    const zeros = Buffer.alloc(size);
    try {
      for (;;) if (writeSync(file, zeros) === 0) break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  }
  closeSync(file);
}
