/** [ensureImage] against the real engine: every way to an image, and what a worker finds in the one that is made here. */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureImage, ImageUnavailable } from "../../../executor-host/container/base-image.ts";
import { DockerEngine } from "../../../executor-host/container/docker.ts";
import type { Worker } from "../../../executor-host/container/port.ts";
import { askHealth } from "../../../executor-host/container/runner-health.ts";
import { prepareToolkit } from "../../../executor-host/toolkit/toolkit.ts";
import { ensureBaseImage } from "../../support/docker-image.ts";
import { askStub, StubFolders } from "../../support/stub-toolkit.ts";

const docker = async (...args: string[]) => (await promisify(execFile)("docker", args)).stdout.trim();
const MiB = 1024 * 1024;

describe("the image of workers", () => {
  const installationId = `test-${randomUUID()}`;
  const engine = new DockerEngine();
  const { images } = engine;
  /** Nobody listens at port 1 of this machine: a registry that is away, whatever the network. */
  const nowhere = `localhost:1/${installationId}:1`;
  const localRepository = `gantry-${installationId}`;
  const said: string[] = [];
  const needs = { images, log: (line: string) => said.push(line), defaultImage: nowhere, localRepository };
  let testBase: string;
  let made: { image: string; note?: string };
  let madeInMs: number;
  let folders: StubFolders;

  beforeAll(async () => {
    testBase = await ensureBaseImage();
    folders = await StubFolders.make();
    const began = performance.now();
    made = await ensureImage(undefined, needs);
    madeInMs = performance.now() - began;
  }, 600_000);
  afterAll(async () => {
    for (const left of await engine.find(installationId)) await engine.remove(left, 0);
    for (const { id } of await images.withLabel(`gantry.local-base=${localRepository}`)) await docker("rmi", "-f", id);
    await folders?.remove();
  });

  const localImages = async () => await images.withLabel(`gantry.local-base=${localRepository}`);

  test("one that was named and is there is used as it is", async () => {
    expect(await ensureImage(testBase, needs)).toEqual({ image: testBase });
  });

  test("one that was named and cannot be had is an error that says why and what to do; nothing takes its place", async () => {
    const error = await ensureImage(nowhere, needs).catch((caught) => caught);
    expect(error).toBeInstanceOf(ImageUnavailable);
    expect(error.message).toContain(nowhere);
    expect(error.message).toContain("connection refused");
    expect(error.fix).toContain(`docker pull ${nowhere}`);
    expect(said).toContain(`pulling ${nowhere}`);
  });

  test("a pull that takes too long is given up, and says so", async () => {
    const registry = createServer().listen(0, "127.0.0.1");
    await once(registry, "listening");
    const image = `localhost:${(registry.address() as AddressInfo).port}/silent:1`;
    await expect(ensureImage(image, { ...needs, namedPullMs: 200 })).rejects.toThrow("not complete after 0.2 s");
    registry.close();
  });

  test("a caller who leaves ends the pull", async () => {
    const left = new AbortController();
    left.abort(new Error("left"));
    await expect(ensureImage(nowhere, { ...needs, signal: left.signal })).rejects.toThrow("left");
  });

  test("none named, the default is there: the default", async () => {
    expect(await ensureImage(undefined, { ...needs, defaultImage: testBase })).toEqual({ image: testBase });
  });

  test("none named, none there, no registry: one is made from this machine's files, quickly and small", async () => {
    expect(made.image).toMatch(new RegExp(`^${localRepository}:[0-9a-f]{16}$`));
    expect(made.note).toContain("this machine's own files");
    expect(madeInMs).toBeLessThan(60_000);
    expect(Number(await docker("image", "inspect", "-f", "{{.Size}}", made.image))).toBeLessThan(200 * MiB);
    const env = await docker("image", "inspect", "-f", "{{json .Config.Env}}", made.image);
    expect(JSON.parse(env)).toEqual(
      expect.arrayContaining(["LANG=C.UTF-8", expect.stringMatching(/^PATH=.*\/usr\/bin/)]),
    );
  });

  test("the second call uses the first one's, without asking a registry", async () => {
    const before = said.length;
    expect(await ensureImage(undefined, needs)).toEqual(made);
    expect(said.length).toBe(before);
    expect(await localImages()).toHaveLength(1);
  });

  test("two daemons that make it at once leave one image", async () => {
    await docker("rmi", made.image);
    const both = await Promise.all([ensureImage(undefined, needs), ensureImage(undefined, needs)]);
    expect(both).toEqual([made, made]);
    const left = (await localImages()).filter(({ names }) => names.length > 0);
    expect(left).toHaveLength(1);
  });

  describe("a sealed worker in the one that was made", () => {
    let worker: Worker;
    const inside = async (program: string, ...args: string[]) =>
      askStub<{ code: number | string; stdout: string; stderr: string }>(worker, "POST", "/run", { program, args });

    beforeAll(async () => {
      worker = await engine.start(await folders.spec(installationId, made.image));
    });

    test.each([
      ["bash", "set -o pipefail; [[ $(printf 'b\\na\\n' | sort | head -1) == a ]] && echo yes", "yes"],
      ["bash", "command -v ls cat cp mv rm mkdir sed awk tar gzip find xargs diff git | wc -l", "14"],
      ["sh", "printf 'one two\\n' | sed s/one/1/ | awk '{ print $2, $1 }'", "two 1"],
      ["sh", "cd /workspace && echo x > a && tar czf t.tgz a && rm a && tar xzf t.tgz && cat a", "x"],
      ["sh", "cd /workspace && find . -name a | xargs grep -l x", "./a"],
      ["sh", "whoami; id -un; echo $LANG", "gantry\ngantry\nC.UTF-8"],
      ["sh", "printf äöü | wc -m", "3"],
      ["sh", "stat -c '%a %U' /tmp /workspace | head -1", "1777 root"],
    ])("%s: %s", async (shell, script, answer) => {
      const { code, stdout, stderr } = await inside(shell, "-c", script);
      expect({ code, stdout: stdout.trim(), stderr }).toEqual({ code: 0, stdout: answer, stderr: "" });
    });

    test("git: a repository, a commit, a diff, and the helper for https finds its libraries", async () => {
      const script = `set -e; cd /workspace; git init -q r; cd r; git config user.email a@b; git config user.name n
        echo 1 > f; git add f; git commit -qm one; echo 2 > f; git diff --stat | tail -1; git log --oneline | wc -l
        git ls-remote https://127.0.0.1:1/x 2>&1 | grep -c 'Failed to connect'`;
      const { stdout, stderr } = await inside("bash", "-c", script);
      expect({ stdout, stderr }).toMatchObject({
        stdout: expect.stringMatching(/1 file changed, 1 insertion.*\n1\n1\n$/),
        stderr: "",
      });
    });

    test("every program finds its libraries, and no link leads to nowhere", async () => {
      const script = `for f in /usr/bin/* /usr/lib/git-core/*; do
        [ -e "$f" ] || echo "nowhere: $f"
        [ "$(head -c 4 "$f" | tail -c 3)" = ELF ] || continue
        "$LOADER" --list "$f" 2>&1 | grep 'not found' && echo "in $f"
      done; true`;
      const loader = await inside("sh", "-c", "ls /lib64/ld-linux-*.so.* /lib/ld-linux-*.so.* 2>/dev/null | head -1");
      const { stdout } = await inside("bash", "-c", script.replaceAll("$LOADER", loader.stdout.trim()));
      expect(stdout).toBe("");
    });

    test("nobody of this machine is in it, and nothing has more rights than its caller", async () => {
      const { stdout } = await inside(
        "sh",
        "-c",
        "cut -d: -f1 /etc/passwd; find / -xdev -perm /6000 -type f; ls /home /root",
      );
      expect(stdout.trim().split("\n")).toEqual(expect.arrayContaining(["root", "gantry", "nobody"]));
      expect(stdout).not.toContain("/usr/bin/");
      expect((await inside("sh", "-c", "cat /etc/shadow /etc/gitconfig /etc/ld.so.preload")).stdout).toBe("");
    });
  });

  test("the toolkit's own Node and runner come up in it", async () => {
    const root = await mkdtemp(join(tmpdir(), "gantry-"));
    try {
      await prepareToolkit({ dir: join(root, "toolkit") });
      const spec = await folders.spec(installationId, made.image);
      const limits = { memoryBytes: 512 * MiB, cpus: 1, pids: 256, tmpBytes: 64 * MiB };
      const worker = await engine.start({ ...spec, toolkitDir: join(root, "toolkit"), limits });
      expect(await askHealth(worker.socketPath)).toMatchObject({ ok: true });
      await engine.remove(worker, 1_000);
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  });
});
