/** on a real disk: what a manifest asks for is laid out, or refused before anything is written. */
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runtimeManifestSchema } from "#protocol/runtime-manifest.ts";
import { isAboutTheFile } from "../../../executor-host/workspace/errors.ts";
import { layRuntime } from "../../../executor-host/workspace/runtime-layers.ts";
import { describeTree } from "./fixture.ts";

let folder: string;
let root: string;
let outside: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "gantry-layers-"));
  root = join(folder, "workspace");
  outside = join(folder, "outside");
  mkdirSync(root);
  mkdirSync(outside);
  writeFileSync(join(outside, "secret"), "outside");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (path: string, content: string) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
};
const read = (path: string) => readFileSync(join(root, path), "utf8");
const lay = (manifest: object) =>
  layRuntime({ root, manifest: runtimeManifestSchema.parse({ runtimeVersion: "1.0", ...manifest }) });

test("[R-4.1] seeds are laid under what the session has, with their modes and folders", () => {
  write("mine.txt", "mine");
  const seedFiles = [
    { path: "/workspace/mine.txt", content: "seed" },
    { path: "/workspace/tools/deep/run.sh", content: "#!/bin/sh\n", mode: 0o755 },
  ];
  expect(lay({ seedFiles })).toMatchObject({ ok: true, written: 1 });
  expect(read("mine.txt")).toBe("mine");
  expect(read("tools/deep/run.sh")).toBe("#!/bin/sh\n");
  expect(lstatSync(join(root, "tools/deep/run.sh")).mode & 0o777).toBe(0o755);
  expect(lstatSync(join(root, "tools")).mode & 0o777).toBe(0o755);
  expect(describeTree(root).filter((line) => line.includes(".gantry-seed"))).toEqual([]);
});

test("[R-4.1] overwrite replaces the session's own but for protected paths; fail refuses and writes nothing", () => {
  write("a", "mine");
  write("kept/b", "mine");
  const seedFiles = [
    { path: "/workspace/a", content: "seed" },
    { path: "/workspace/kept/b", content: "seed" },
    { path: "/workspace/new", content: "seed" },
  ];
  const before = describeTree(root);
  expect(lay({ seedFiles, conflictPolicy: "fail" })).toMatchObject({ ok: false, reason: "path_conflict" });
  expect(describeTree(root)).toEqual(before);
  expect(lay({ seedFiles, conflictPolicy: "overwrite", protectedPaths: ["/workspace/kept"] })).toMatchObject({
    ok: true,
  });
  expect([read("a"), read("kept/b"), read("new")]).toEqual(["seed", "mine", "seed"]);
});

test("[R-4.1] cleaning up leaves protected paths, the folder itself when only its contents go, and what links point to", () => {
  write("tmp/a", "x");
  write("tmp/kept/b", "x");
  write("tmp/deep/c", "x");
  write("cache/a", "x");
  write("target/a", "x");
  symlinkSync("target", join(root, "link"));
  const cleanupRules = [
    { path: "/workspace/tmp" },
    { path: "/workspace/cache", remove: "contents" },
    { path: "/workspace/link" },
    { path: "/workspace/nowhere/deep" },
  ];
  expect(lay({ cleanupRules, protectedPaths: ["/workspace/tmp/kept"] })).toMatchObject({ ok: true });
  expect(readdirSync(root).sort()).toEqual(["cache", "target", "tmp"]);
  expect(readdirSync(join(root, "cache"))).toEqual([]);
  expect(readdirSync(join(root, "tmp"), { recursive: true }).sort()).toEqual(["kept", "kept/b"]);
  expect(read("target/a")).toBe("x");
});

test("[R-4.2] another runtime version and paths outside are refused before anything is written", () => {
  const seedFiles = [{ path: "/workspace/a", content: "x" }];
  expect(lay({ runtimeVersion: "2.0", seedFiles })).toMatchObject({ reason: "runtime_version_mismatch" });
  expect(lay({ seedFiles, requiredPaths: ["/workspace/../etc/passwd"] })).toMatchObject({
    reason: "path_outside_workspace",
  });
  expect(readdirSync(root)).toEqual([]);
});

test("[R-4.2] a link on the disk that leads outside is refused; one inside is followed", () => {
  mkdirSync(join(root, "real"));
  symlinkSync("/workspace/real", join(root, "inside"));
  symlinkSync(outside, join(root, "out"));
  const seed = (path: string) => ({ seedFiles: [{ path, content: "x" }] });
  expect(lay(seed("/workspace/out/a"))).toMatchObject({ reason: "link_outside_workspace" });
  expect(lay({ cleanupRules: [{ path: "/workspace/out/secret" }] })).toMatchObject({
    reason: "link_outside_workspace",
  });
  expect(lay({ requiredPaths: ["/workspace/out/secret"] })).toMatchObject({ reason: "link_outside_workspace" });
  expect(lay(seed("/workspace/inside/a"))).toMatchObject({ ok: true });
  expect(read("real/a")).toBe("x");
  expect(readdirSync(outside)).toEqual(["secret"]);
});

test("[R-4.3] required paths are looked for on the real disk, through links, after everything is in place", () => {
  write("there/file", "x");
  symlinkSync("there/file", join(root, "link"));
  symlinkSync("gone", join(root, "dangling"));
  const ended: string[] = [];
  const manifest = runtimeManifestSchema.parse({
    runtimeVersion: "1.0",
    requiredPaths: ["/workspace/there/file", "/workspace/link", "/workspace/dangling"],
  });
  const refused = layRuntime({ root, manifest, phase: (name) => ended.push(name) });
  expect(refused).toMatchObject({ ok: false, reason: "required_paths_missing", missing: ["/workspace/dangling"] });
  expect(ended).toEqual(["link-agent-data", "validate"]);
  expect(lay({ requiredPaths: ["/workspace/no", "/workspace/there"] })).toMatchObject({ missing: ["/workspace/no"] });
  expect(lay({ requiredPaths: ["/workspace/there/file", "/workspace/link"] })).toMatchObject({ ok: true });
});

test("[R-4.4] the agents' state is linked to where it is wanted, and what the session has there stays", () => {
  const mountPoints = [{ path: "/workspace/app/.agent", source: "agent-data" }];
  expect(lay({ mountPoints, requiredPaths: ["/workspace/app/.agent"] })).toMatchObject({ ok: true });
  expect(readlinkSync(join(root, "app/.agent"))).toBe("../.gantry/agent");
  writeFileSync(join(root, ".gantry/agent/notes"), "x");
  expect(read("app/.agent/notes")).toBe("x");
  expect(lay({ mountPoints })).toMatchObject({ ok: true });
  expect(lay({ mountPoints: [{ path: "/workspace/base", source: "base" }] })).toMatchObject({
    reason: "mount_unavailable",
  });
});

const SWAPPER = `
  const { renameSync, rmSync, symlinkSync, unlinkSync } = require("node:fs");
  const { workerData: { root, outside, flag } } = require("node:worker_threads");
  const tries = (f) => { try { f(); } catch {} };
  while (Atomics.load(flag, 0) === 0) {
    // The one who writes may have made a new folder while the old one was away.
    tries(() => rmSync(root + "/.parked", { recursive: true }));
    tries(() => renameSync(root + "/dir", root + "/.parked"));
    tries(() => symlinkSync(outside, root + "/dir"));
    tries(() => unlinkSync(root + "/dir"));
    tries(() => renameSync(root + "/.parked", root + "/dir"));
    Atomics.add(flag, 1, 1);
  }
`;

test.runIf(process.platform === "linux")(
  "[R-4.2] a folder that is swapped for a link meanwhile never leads a seed or a clean-up outside",
  async () => {
    mkdirSync(join(root, "dir"));
    const flag = new Int32Array(new SharedArrayBuffer(8));
    const swapper = new Worker(SWAPPER, { eval: true, workerData: { root, outside, flag } });
    await new Promise((resolve) => swapper.once("online", resolve));
    let laid = 0;
    let refused = 0;
    // Until both have been seen, or nothing was raced.
    for (let attempt = 0; attempt < 800 || ((laid === 0 || refused === 0) && attempt < 100_000); attempt++) {
      try {
        const answer = lay({
          seedFiles: [{ path: "/workspace/dir/seed", content: "x" }],
          cleanupRules: [{ path: "/workspace/dir/secret" }],
          conflictPolicy: "overwrite",
        });
        if (answer.ok) laid++;
        else refused++;
      } catch (error) {
        if (!isAboutTheFile(error)) throw error;
        refused++;
      }
    }
    Atomics.store(flag, 0, 1);
    await new Promise((resolve) => swapper.once("exit", resolve));
    expect(readdirSync(outside)).toEqual(["secret"]);
    expect(laid).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
    expect(Atomics.load(flag, 1)).toBeGreaterThan(0);
  },
);
