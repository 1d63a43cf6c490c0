/**
 * A base image from this machine's own files: its shell, its tools, git, and the libraries that they, Node and the agent
 * CLIs need. For a host that has a container engine and cannot reach a registry. Linux with glibc only, because Node and
 * the CLIs are made for it.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, constants } from "node:fs/promises";
import { dirname, join } from "node:path";
import { workerUser } from "../container-spec.ts";
import { Closure } from "./closure.ts";
import { librariesOf } from "./libraries.ts";
import {
  dataFolders,
  dataPaths,
  expectedPrograms,
  gitFolders,
  libraryNames,
  neededPrograms,
  otherPrograms,
  programDirs,
  rootNames,
  uselessGit,
} from "./programs.ts";
import type { TarEntry } from "./tar.ts";

/** Part of the name: an image made by another recipe is another image. */
const recipe = 1;

const gitTimeoutMs = 10_000;

export type LocalBase = {
  /** Of the recipe and of everything that goes in: another when this machine's files have changed. */
  hash: string;
  entries: TarEntry[];
  /** Expected programs that this machine does not have. */
  missing: string[];
};

const onlyGlibc = "A base image can be made from this machine's own files only on Linux with glibc.";

/** Why no image can be made here. */
export class NoLocalBase extends Error {}

/**
 * What the image would hold; nothing is read but names.
 * @param node the binary that workers will be started with
 * @throws NoLocalBase
 */
export async function planLocalBase(node: string = process.execPath): Promise<LocalBase> {
  if (process.platform !== "linux") throw new NoLocalBase(onlyGlibc);
  const closure = new Closure();
  const binaries = await addPrograms(closure);
  const missing = expectedPrograms.filter((name) => !binaries.has(name));
  const git = binaries.get("git");
  const gitPrograms = git === undefined ? [] : await addGit(closure, git);
  await addLibraries(closure, [...binaries.values(), ...gitPrograms, node]);
  for (const path of [...rootNames, ...dataPaths]) await closure.add(path);
  for (const path of dataFolders) await closure.addTree(path);
  for (const entry of madeFor(workerUser())) closure.make(entry);
  const hash = createHash("sha256").update(`${recipe} ${process.arch}\n${closure.fingerprint()}`).digest("hex");
  return { hash: hash.slice(0, 16), entries: closure.entries(), missing };
}

/** Name to real path of every program that is there. */
async function addPrograms(closure: Closure): Promise<Map<string, string>> {
  const binaries = new Map<string, string>();
  for (const name of [...neededPrograms, ...expectedPrograms, ...otherPrograms]) {
    for (const dir of programDirs) {
      const path = join(dir, name);
      if (!(await isProgram(path))) continue;
      const real = await closure.add(path);
      if (real === undefined) continue;
      binaries.set(name, real);
      break;
    }
  }
  const lacking = neededPrograms.filter((name) => !binaries.has(name));
  if (lacking.length === 0) return binaries;
  throw new NoLocalBase(`A base image cannot be made: ${programDirs.join(", ")} have no ${lacking.join(", ")}.`);
}

async function addGit(closure: Closure, git: string): Promise<string[]> {
  const execPath = await new Promise<string | undefined>((resolve) => {
    execFile(git, ["--exec-path"], { timeout: gitTimeoutMs }, (error, stdout) =>
      resolve(error ? undefined : stdout.trim()),
    );
  });
  if (execPath === undefined) return [];
  for (const folder of gitFolders) await closure.addTree(folder);
  return await closure.addTree(execPath, (name) => !uselessGit.test(name));
}

async function addLibraries(closure: Closure, binaries: readonly string[]): Promise<void> {
  const found = await librariesOf([...new Set(binaries)]);
  const folders = new Set(found.filter((path) => /\/(libc|libstdc\+\+)\.so\.\d+$/.test(path)).map(dirname));
  if (!found.some((path) => path.endsWith("/libc.so.6"))) throw new NoLocalBase(onlyGlibc);
  const byName: string[] = [];
  for (const name of libraryNames) {
    for (const folder of folders) {
      const real = await closure.add(join(folder, name));
      if (real !== undefined) byName.push(real);
    }
  }
  for (const path of [...found, ...(await librariesOf(byName))]) await closure.add(path);
}

/** Users, and the folders that a system has. Nobody of this machine: only root, nobody and the worker's own user. */
function madeFor({ uid, gid }: { uid: number; gid: number }): TarEntry[] {
  const text = (path: string, ...lines: string[]): TarEntry => {
    return { path, type: "file", mode: 0o644, content: `${lines.join("\n")}\n` };
  };
  const folder = (path: string, mode = 0o755): TarEntry => ({ path, type: "directory", mode });
  return [
    folder("/workspace"),
    ...["/dev", "/proc", "/sys", "/run", "/opt", "/var/lib", "/usr/local/bin"].map((path) => folder(path)),
    folder("/home/gantry"),
    folder("/root", 0o700),
    folder("/tmp", 0o1777),
    folder("/var/tmp", 0o1777),
    text(
      "/etc/passwd",
      "root:x:0:0:root:/root:/bin/bash",
      `gantry:x:${uid}:${gid}:gantry:/home/gantry:/bin/bash`,
      "nobody:x:65534:65534:nobody:/nonexistent:/bin/false",
    ),
    text("/etc/group", "root:x:0:", `gantry:x:${gid}:`, "nogroup:x:65534:"),
    text("/etc/nsswitch.conf", "passwd: files", "group: files", "hosts: files dns"),
  ];
}

async function isProgram(path: string): Promise<boolean> {
  return await access(path, constants.R_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
}
