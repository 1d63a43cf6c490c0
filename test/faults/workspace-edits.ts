/** What a person or an agent does to a workspace, by a seed: new, edited, removed, renamed, other modes, links, large files. */
import {
  appendFileSync,
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { noise } from "../executor-host/workspace/fixture.ts";
import type { Random } from "../fuzz/random.ts";

const NAMES = ["a", "b", "src", "lib", "übung", "name with spaces", "x.txt", "y.json", "-", ".hidden"];
const LARGE_BYTES = 2_500_000;

/** Carries out `count` edits, so that there is always something left. */
export function edit(random: Random, root: string, count: number): void {
  for (let i = 0; i < count; i++) {
    const folder = someFolder(random, root);
    const path = join(folder, random.pick(NAMES) + (random.chance(0.7) ? random.int(0, 19) : ""));
    const there = lstatSync(path, { throwIfNoEntry: false });
    if (there === undefined) {
      make(random, path);
      continue;
    }
    const what = random.weighted({ edit: 5, mode: 2, move: 2, remove: 2 });
    if (what === "remove" || there.isSymbolicLink()) rmSync(path, { recursive: true });
    else if (what === "move") renameSync(path, join(root, `moved-${random.int(0, 1_000_000)}`));
    else if (what === "mode") chmodSync(path, there.isDirectory() ? 0o700 : random.pick([0o600, 0o644, 0o755]));
    else if (there.isFile()) appendFileSync(path, `edit ${random.int(0, 1_000_000)}\n`);
  }
}

function make(random: Random, path: string): void {
  const what = random.int(0, 9);
  if (what < 3) mkdirSync(path);
  else if (what === 3) symlinkSync(random.pick(["a", "../..", "/etc/passwd", "nowhere"]), path);
  else if (what === 4) writeFileSync(path, "");
  else writeFileSync(path, noise(random.chance(0.05) ? LARGE_BYTES : random.int(1, 20_000), random.int(1, 1_000_000)));
}

/** The root or a folder somewhere below it. */
function someFolder(random: Random, root: string): string {
  let folder = root;
  for (;;) {
    const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    if (below.length === 0 || random.chance(0.4)) return folder;
    folder = join(folder, random.pick(below.map(({ name }) => name).sort()));
  }
}
