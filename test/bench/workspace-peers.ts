/** What others need for the same: the tools of Debian that are installed here, each as its own manual says. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

/** Saves `source` into `place`, and brings the last saved state to `target`, which does not exist. */
export type Peer = {
  name: string;
  prepare(place: string): void;
  save(source: string, place: string, round: number): void;
  restore(place: string, target: string, round: number): void;
  /** Does a save read only what is new? Others are no peer for the incremental bars. */
  incremental: boolean;
  /** The folder that holds what was stored. */
  stored(place: string): string;
};

const run = (file: string, args: string[], cwd: string, env: Record<string, string> = {}): void => {
  execFileSync(file, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "pipe"] });
};
const shell = (script: string, cwd: string) => run("sh", ["-ec", script], cwd);
const within = (place: string) => join(place, "repo");

const restic = (place: string, cwd: string, args: string[]) =>
  run("restic", ["-r", within(place), "--cache-dir", join(place, "cache"), "-q", ...args], cwd, {
    RESTIC_PASSWORD: "bench",
  });
const borg = (place: string, cwd: string, args: string[]) =>
  run("borg", args, cwd, {
    BORG_BASE_DIR: join(place, "base"),
    BORG_REPO: within(place),
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes",
    BORG_RELOCATED_REPO_ACCESS_IS_OK: "yes",
  });
const NO_GC = ["-c", "gc.auto=0", "-c", "maintenance.auto=false"];
const git = (place: string, tree: string, args: string[]) =>
  run(
    "git",
    // Its collector goes on in the background, into the next tool's time.
    ["--git-dir", within(place), "--work-tree", tree, "-c", "user.name=b", "-c", "user.email=b@b", ...NO_GC, ...args],
    tree,
  );

const PEERS: Record<string, Omit<Peer, "name" | "stored"> & { stored?: Peer["stored"] }> = {
  restic: {
    incremental: true,
    prepare: (place) => restic(place, place, ["init"]),
    save: (source, place) => restic(place, source, ["backup", "."]),
    restore: (place, target) => restic(place, place, ["restore", "latest", "--target", target]),
  },
  borg: {
    incremental: true,
    prepare: (place) => borg(place, place, ["init", "-e", "none"]),
    save: (source, place, round) => borg(place, source, ["create", "-C", "lz4", `::${round}`, "."]),
    restore: (place, target, round) => {
      mkdirSync(target);
      borg(place, target, ["extract", `::${round}`]);
    },
  },
  casync: {
    incremental: true,
    prepare: (place) => mkdirSync(within(place)),
    save: (source, place) =>
      run("casync", ["make", `--store=${within(place)}/store.castr`, `${within(place)}/tree.caidx`, source], place),
    restore: (place, target) =>
      run("casync", ["extract", `--store=${within(place)}/store.castr`, `${within(place)}/tree.caidx`, target], place),
  },
  rsync: {
    incremental: true,
    prepare: (place) => mkdirSync(within(place)),
    save: (source, place) => run("rsync", ["-a", "--delete", `${source}/`, `${within(place)}/`], place),
    restore: (place, target) => run("rsync", ["-a", `${within(place)}/`, `${target}/`], place),
  },
  git: {
    incremental: true,
    prepare: (place) => run("git", ["init", "-q", "--bare", within(place)], place),
    save: (source, place, round) => {
      git(place, source, ["add", "-A", "-f"]);
      git(place, source, ["commit", "-q", "--allow-empty", "-m", `${round}`]);
    },
    restore: (place, target) => {
      mkdirSync(target);
      git(place, target, ["checkout", "-q", "-f", "HEAD", "--", "."]);
    },
  },
  "tar and zstd": {
    incremental: false,
    prepare: (place) => mkdirSync(within(place)),
    save: (source, place) =>
      shell(`tar -C '${source}' -c . | zstd -q -f -1 -T0 -o '${within(place)}/tree.tar.zst'`, place),
    restore: (place, target) => {
      mkdirSync(target);
      shell(`zstd -q -d -c '${within(place)}/tree.tar.zst' | tar -C '${target}' -x`, place);
    },
  },
};

/** The peers whose programs are on this machine. */
export function peersHere(): Peer[] {
  const isHere = (name: string) =>
    name.split(" and ").every((file) => spawnSync("sh", ["-c", `command -v ${file}`]).status === 0);
  return Object.entries(PEERS)
    .filter(([name]) => isHere(name))
    .map(([name, peer]) => ({ name, stored: within, ...peer }));
}
