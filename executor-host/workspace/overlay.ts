/**
 * Overlay mounts, by the system's own `mount` and `umount`. Linux and root only; [overlayWorks] says by trying.
 *
 * redirect_dir: an agent may rename a folder of the base, as on any file system. metacopy off: what is in the upper layer
 * is there whole.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export type OverlayMount = { lower: string; upper: string; work: string; at: string };

/** @throws Error in mount's own words */
export function mountOverlay({ lower, upper, work, at }: OverlayMount): void {
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work},redirect_dir=on,metacopy=off,nodev,nosuid`;
  run("mount", ["-t", "overlay", "gantry", "-o", options, at]);
}

/** Takes the mount off `at`; a container that still has it keeps its own view. Nothing there is fine. */
export function unmount(at: string): void {
  while (upperAt(at) !== undefined) run("umount", ["-l", at]);
}

/** The upper folder of the overlay that is mounted at `at`; undefined when none is. */
export function upperAt(at: string): string | undefined {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const line = lines.findLast((each) => unescaped(each.split(" ")[4] ?? "") === at && each.includes(" - overlay "));
  const upper = line && /[ ,]upperdir=([^, ]*)/.exec(line)?.[1];
  return upper === undefined ? undefined : unescaped(upper);
}

/** Is a path fit for a mount option? Colons and commas mean something there. */
export function isMountable(path: string): boolean {
  return !/[:,\\\s"]/.test(path);
}

/**
 * Can overlays be made in `folder`, with everything that is relied on: writing, removing, renaming a folder of the lower
 * layer, inodes that stay what they are below?
 */
export function overlayWorks(folder: string): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0 || !isMountable(folder)) return false;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const place = mkdtempSync(join(folder, ".overlay-try-"));
  const [lower, upper, work, at] = ["lower", "upper", "work", "at"].map((name) => join(place, name)) as [
    string,
    string,
    string,
    string,
  ];
  try {
    for (const dir of [join(lower, "dir", "sub"), upper, work, at]) mkdirSync(dir, { recursive: true });
    writeFileSync(join(lower, "dir", "file"), "x");
    mountOverlay({ lower, upper, work, at });
    const same = ["dir/file", "dir"].every((name) => statSync(join(lower, name)).ino === statSync(join(at, name)).ino);
    renameSync(join(at, "dir"), join(at, "renamed"));
    return same && statSync(join(at, "renamed", "file")).size === 1 && statSync(join(lower, "dir", "file")).size === 1;
  } catch {
    // Not here: a kernel, a file system or a container that does not allow it. Restores then make their files.
    return false;
  } finally {
    unmount(at);
    rmSync(place, { recursive: true, force: true });
  }
}

function run(file: "mount" | "umount", args: string[]): void {
  try {
    execFileSync(file, args, { stdio: ["ignore", "ignore", "pipe"] });
  } catch (error) {
    const words = (error as { stderr?: Buffer }).stderr?.toString().trim();
    throw new Error(words || (error instanceof Error ? error.message : String(error)));
  }
}

/** mountinfo writes space, tab, newline and backslash as octal. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
