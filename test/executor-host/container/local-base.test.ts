/** A folder of this machine as a tree that is complete in itself, and as a tar that the system's own tar unpacks again. */
import { execFile } from "node:child_process";
import { link, lstat, mkdir, mkdtemp, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Closure } from "../../../executor-host/container/local-base/closure.ts";
import { librariesOf } from "../../../executor-host/container/local-base/libraries.ts";
import { tarStream } from "../../../executor-host/container/local-base/tar.ts";

let root: string;
let from: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "gantry-base-"));
  from = join(root, "from");
  await mkdir(join(from, "usr/bin"), { recursive: true });
});
afterEach(() => rm(root, { recursive: true, force: true }));

const typesOf = (closure: Closure) =>
  Object.fromEntries(
    closure
      .entries()
      .filter(({ path }) => path.startsWith(`${from}/`))
      .map(({ path, type }) => [path.slice(from.length), type]),
  );

describe("a closure", () => {
  test("keeps every link on the way and the file under its real path", async () => {
    await writeFile(join(from, "usr/bin/mawk"), "x", { mode: 0o4755 });
    await mkdir(join(from, "etc"));
    await symlink("usr/bin", join(from, "bin"));
    await symlink(join(from, "usr/bin/mawk"), join(from, "etc/awk"));
    await symlink("../../etc/awk", join(from, "usr/bin/awk"));
    const closure = new Closure();
    expect(await closure.add(join(from, "bin/awk"))).toBe(join(from, "usr/bin/mawk"));
    expect(typesOf(closure)).toEqual({
      "/bin": "symlink",
      "/etc": "directory",
      "/etc/awk": "symlink",
      "/usr": "directory",
      "/usr/bin": "directory",
      "/usr/bin/awk": "symlink",
      "/usr/bin/mawk": "file",
    });
    expect(closure.entries().find(({ path }) => path.endsWith("mawk"))).toMatchObject({ mode: 0o755 });
  });

  test("a file with many names is one content; links that lead nowhere, in circles, or to no file end", async () => {
    await writeFile(join(from, "usr/bin/git"), "x");
    for (const name of ["git-add", "git-rm"]) await link(join(from, "usr/bin/git"), join(from, "usr/bin", name));
    await symlink("loop", join(from, "loop"));
    await symlink("/nothing/there", join(from, "dangling"));
    await symlink("/dev/null", join(from, "device"));
    const closure = new Closure();
    await closure.addTree(join(from, "usr/bin"));
    for (const name of ["loop", "dangling", "device", "absent", "usr/bin/git/below"]) {
      expect(await closure.add(join(from, name))).toBeUndefined();
    }
    expect(typesOf(closure)).toMatchObject({
      "/usr/bin/git": "file",
      "/usr/bin/git-add": "link",
      "/usr/bin/git-rm": "link",
      "/dangling": "symlink",
    });
  });

  test("its fingerprint changes with a file and with a link, and with nothing else", async () => {
    const file = join(from, "usr/bin/a");
    const print = async () => {
      const closure = new Closure();
      for (const name of ["usr/bin/a", "b"]) await closure.add(join(from, name));
      return closure.fingerprint();
    };
    await writeFile(file, "1");
    await symlink("usr/bin/a", join(from, "b"));
    const first = await print();
    expect(await print()).toBe(first);
    await rm(join(from, "b"));
    await symlink("./usr/bin/a", join(from, "b"));
    const second = await print();
    expect(second).not.toBe(first);
    await writeFile(file, "22");
    expect(await print()).not.toBe(second);
  });
});

test("the system's tar unpacks what was packed: long names, links of both kinds, empty and large files, rights", async () => {
  const long = `deep/${"long-name-".repeat(12)}/${"another-".repeat(14)}ä`;
  const large = "0123456789abcdef".repeat(200_000);
  await writeFile(join(from, "large"), large);
  const to = join(root, "to");
  await mkdir(to);
  const unpack = execFile("tar", ["-x", "-C", to, "-f", "-"]);
  const ended = new Promise((resolve) => unpack.once("close", resolve));
  const tar = tarStream([
    { path: "/deep", type: "directory", mode: 0o700 },
    { path: `/${long}`, type: "file", mode: 0o755, content: "long" },
    { path: "/empty", type: "file", mode: 0o644, content: "" },
    { path: "/large", type: "file", mode: 0o644, source: join(from, "large") },
    { path: "/link", type: "link", target: `/${long}` },
    { path: "/symlink", type: "symlink", target: `../${long}` },
  ]);
  if (!unpack.stdin) throw new Error("no way into tar");
  await pipeline(Readable.from(tar, { objectMode: false }), unpack.stdin);
  expect(await ended).toBe(0);
  expect((await lstat(join(to, "deep"))).mode & 0o777).toBe(0o700);
  expect((await lstat(join(to, long))).mode & 0o777).toBe(0o755);
  expect(await readFile(join(to, "link"), "utf8")).toBe("long");
  expect((await lstat(join(to, "link"))).ino).toBe((await lstat(join(to, long))).ino);
  expect(await readlink(join(to, "symlink"))).toBe(`../${long}`);
  expect(await readFile(join(to, "empty"), "utf8")).toBe("");
  expect(await readFile(join(to, "large"), "utf8")).toBe(large);
});

test.runIf(process.platform === "linux")("libraries: those of a binary, none of a script", async () => {
  const script = join(from, "script");
  await writeFile(script, "#!/bin/sh\n");
  expect(await librariesOf([script])).toEqual([]);
  const found = await librariesOf([process.execPath, script]);
  expect(found).toEqual(
    expect.arrayContaining([expect.stringMatching(/\/libc\.so\.6$/), expect.stringMatching(/\/ld-linux/)]),
  );
});
