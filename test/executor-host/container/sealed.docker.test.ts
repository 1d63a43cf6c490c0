/** The container as the engine and as the worker itself see it. */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { stat } from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DockerEngine } from "../../../executor-host/container/docker.ts";
import type { Worker, WorkerSpec } from "../../../executor-host/container/port.ts";
import { WorkerStartError } from "../../../executor-host/container/port.ts";
import { ensureBaseImage } from "../../support/docker-image.ts";
import { askStub, StubFolders, type StubLook } from "../../support/stub-toolkit.ts";

const docker = async (...args: string[]) => (await promisify(execFile)("docker", args)).stdout.trim();
const MiB = 1024 * 1024;
const canary = `sk-canary-${randomUUID()}`;

describe("[R-2.4] a sealed worker", () => {
  const installationId = `test-${randomUUID()}`;
  const engine = new DockerEngine();
  let folders: StubFolders;
  let image: string;
  let spec: WorkerSpec;
  let worker: Worker;
  let look: StubLook;

  const inside = async (program: string, ...args: string[]) =>
    askStub<{ code: number | string; stdout: string; stderr: string }>(worker, "POST", "/run", { program, args });

  beforeAll(async () => {
    process.env.ANTHROPIC_API_KEY = canary;
    image = await ensureBaseImage();
    folders = await StubFolders.make();
    spec = await folders.spec(installationId, image);
    worker = await engine.start(spec);
    look = await askStub<StubLook>(worker, "GET", "/look");
  }, 600_000);
  afterAll(async () => {
    delete process.env.ANTHROPIC_API_KEY;
    for (const left of await engine.find(installationId)) await engine.remove(left, 0);
    await engine.reap(installationId);
    await folders?.remove();
  });

  test("docker inspect shows every bound", async () => {
    const [{ Config, HostConfig, Mounts, NetworkSettings }] = JSON.parse(await docker("inspect", worker.id));
    expect(Config).toMatchObject({
      User: expect.stringMatching(/^[1-9]\d*:[1-9]\d*$/),
      WorkingDir: "/workspace",
      Entrypoint: ["/opt/gantry/node"],
      StopSignal: "SIGTERM",
      Healthcheck: { Test: ["NONE"] },
      Labels: expect.objectContaining({
        "gantry.installation": installationId,
        "gantry.host": spec.hostId,
        "gantry.session": spec.sessionId,
        "gantry.epoch": "1",
      }),
    });
    expect(HostConfig).toMatchObject({
      Privileged: false,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      ReadonlyRootfs: true,
      NetworkMode: "none",
      IpcMode: "private",
      PidMode: "",
      UTSMode: "",
      Init: true,
      Memory: 256 * MiB,
      MemorySwap: 256 * MiB,
      NanoCpus: 5e8,
      PidsLimit: 64,
      OomScoreAdj: 500,
      RestartPolicy: { Name: "no" },
      LogConfig: { Type: "json-file", Config: { "max-size": "1m", "max-file": "1" } },
    });
    for (const given of ["CapAdd", "Devices", "DeviceRequests", "PortBindings", "Binds", "VolumesFrom", "GroupAdd"]) {
      expect(Object.keys(HostConfig[given] ?? {}), given).toEqual([]);
    }
    expect(HostConfig.OomKillDisable).not.toBe(true);
    expect(HostConfig.MaskedPaths).toContain("/proc/kcore");
    expect(HostConfig.ReadonlyPaths).toContain("/proc/sys");
    expect(Object.keys(NetworkSettings.Networks)).toEqual(["none"]);
    const mounted = Mounts.map((mount: { Destination: string; RW: boolean; Source: string }) => [
      mount.Destination,
      mount.RW,
      mount.Source,
    ]);
    expect(mounted.sort()).toEqual([
      ["/opt/gantry", false, spec.toolkitDir],
      ["/run/egress", false, spec.egressDir],
      ["/run/gantry", true, spec.runDir],
      ["/workspace", true, spec.workspaceDir],
    ]);
  });

  test("it is nobody in particular: not root, no capabilities, no way to gain any, system calls filtered", () => {
    expect(look.uid).toBeGreaterThan(0);
    expect(look.gid).toBeGreaterThan(0);
    expect(look.groups.filter((group) => group !== look.gid)).toEqual([]);
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) expect(look.status[set]).toMatch(/^0+$/);
    expect(look.status).toMatchObject({ NoNewPrivs: "1", Seccomp: "2" });
  });

  test("it has an init process, its own place, and only the arguments that the runner needs", () => {
    expect(look.init).toBe("docker-init");
    expect(look.cwd).toBe("/workspace");
    expect(look.options).toEqual({
      socket: "/run/gantry/runner.sock",
      spool: "/run/gantry/spool",
      "egress-socket": "/run/egress/proxy.sock",
    });
  });

  test("it has no network but loopback, and no engine socket", async () => {
    expect(look.interfaces).toEqual(["lo"]);
    expect(look.dockerSocket).toBe(false);
    expect((await inside("sh", "-c", "tail -n +2 /proc/net/route")).stdout).toBe("");
  });

  test("[R-2.5] no key is anywhere to be read: environment of every process, command lines, mounts, the engine's record", async () => {
    const everything = "cat /proc/*/environ /proc/*/cmdline /proc/self/mountinfo 2>/dev/null | tr '\\0' '\\n'";
    expect((await inside("sh", "-c", everything)).stdout).not.toContain(canary);
    expect(await docker("inspect", worker.id)).not.toContain(canary);
    expect(Object.keys(look.env).filter((name) => /key|token|secret/i.test(name))).toEqual([]);
  });

  test("the root, the toolkit and the egress folder cannot be written; workspace, run folder, /tmp and home can", async () => {
    const write = async (dir: string) =>
      (await inside("sh", "-c", `echo x > ${dir}/probe && rm ${dir}/probe`)).code === 0;
    const closed = ["/", "/etc", "/usr/bin", "/var", "/opt", "/opt/gantry", "/run", "/run/egress", "/home", "/root"];
    expect(await Promise.all(closed.map(write))).toEqual(closed.map(() => false));
    const open = ["/workspace", "/run/gantry", "/tmp", "$HOME", "/dev/shm"];
    expect(await Promise.all(open.map(write))).toEqual(open.map(() => true));
  });

  test("memory file systems hold no programs, no devices, no set-user-id, and have a size", async () => {
    for (const path of ["/tmp", "/home/gantry", "/dev/shm"]) {
      const line = look.mounts.split("\n").find((mount) => mount.split(" ")[1] === path) ?? "";
      const options = line.split(" ")[3]?.split(",");
      expect(options, path).toEqual(expect.arrayContaining(["noexec", "nosuid", "nodev", "size=16384k"]));
    }
    expect((await inside("sh", "-c", "cp /bin/true /tmp/t && /tmp/t")).stderr).toContain("Permission denied");
    expect(
      (await inside("sh", "-c", "for f in a b c; do head -c 7000000 /dev/zero > /tmp/$f; done; rm /tmp/?")).stderr,
    ).toContain("No space");
  });

  test("a file in the workspace is bounded by the kernel", async () => {
    await inside("sh", "-c", "head -c 20000000 /dev/zero > /workspace/big");
    expect((await stat(`${spec.workspaceDir}/big`)).size).toBe(8 * MiB);
  });

  test("forks are bounded", async () => {
    const forks = "i=0; while [ $i -lt 100 ]; do sleep 1000 >/dev/null 2>&1 & i=$((i+1)); done";
    expect((await inside("sh", "-c", forks)).stderr).toContain("Cannot fork");
    await inside("sh", "-c", "kill -9 $(cat /proc/[0-9]*/stat | grep '(sleep)' | cut -d' ' -f1)");
  });

  test("running out of memory is reported as that", async () => {
    const hungry = await engine.start(await folders.spec(installationId, image));
    const end = engine.exited(hungry);
    await askStub(hungry, "POST", "/hog");
    expect(await end).toEqual({ exitCode: 137, outOfMemory: true, signal: "SIGKILL" });
  });

  test("without an egress folder there is no way out at all", async () => {
    const { egressDir: _none, ...closed } = await folders.spec(installationId, image);
    const alone = await engine.start(closed);
    const seen = await askStub<StubLook>(alone, "GET", "/look");
    expect(seen.options).not.toHaveProperty("egress-socket");
    expect(seen.mounts).not.toContain("/run/egress");
  });

  test("an image that is not there fails the start and says which, and what to do", async () => {
    const missing = { ...(await folders.spec(installationId, "gantry-no-such-image:1")) };
    const error = await engine.start(missing).catch((caught) => caught);
    expect(error).toBeInstanceOf(WorkerStartError);
    expect(error.evidence).toContain('"docker pull gantry-no-such-image:1"');
  });

  test("a folder that is missing fails the start, and is not made by the engine", async () => {
    const wrong = { ...(await folders.spec(installationId, image)), toolkitDir: `${folders.root}/nothing` };
    const error = await engine.start(wrong).catch((caught) => caught);
    expect(error.evidence).toContain("does not exist");
    await expect(stat(wrong.toolkitDir)).rejects.toThrow("ENOENT");
  });

  test("what the image says about volumes, entry point, health and user changes nothing", async () => {
    const tag = `gantry-test-volumes:${installationId}`;
    const base = await docker("create", image, "true");
    const changes = ['VOLUME ["/data"]', 'ENTRYPOINT ["/bin/false"]', "HEALTHCHECK CMD false", "USER root"];
    try {
      await docker("commit", ...changes.flatMap((change) => ["--change", change]), base, tag);
      const odd = await engine.start(await folders.spec(installationId, tag));
      const seen = await askStub<StubLook>(odd, "GET", "/look");
      expect(seen.uid).toBe(look.uid);
      expect(seen.mounts).toMatch(/^tmpfs \/data tmpfs .*noexec.*size=16384k/m);
      const volumes = await docker("inspect", "--format", "{{range .Mounts}}{{.Type}} {{end}}", odd.id);
      expect(volumes).not.toContain("volume");
      const end = engine.exited(odd);
      await engine.remove(odd, 30_000);
      expect(await end).toMatchObject({ exitCode: 0 });
    } finally {
      await docker("rm", "-f", base);
      await docker("rmi", "-f", tag);
    }
  });
});
