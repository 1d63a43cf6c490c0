import { describe, expect, test } from "vitest";
import { containerName, containerOptions, workerUser } from "../../../executor-host/container/container-spec.ts";
import { type EngineInfo, judgeEngine } from "../../../executor-host/container/engine-check.ts";
import { labelsOf, ownedBy } from "../../../executor-host/container/labels.ts";
import type { WorkerSpec } from "../../../executor-host/container/port.ts";

const spec: WorkerSpec = {
  installationId: "ins",
  hostId: "hst_1",
  sessionId: "ses_1",
  epoch: 3,
  image: "debian",
  workspaceDir: "/srv/a:b/work",
  runDir: "/srv/run",
  egressDir: "/srv/egress",
  toolkitDir: "/srv/toolkit",
  limits: { memoryBytes: 1_000, cpus: 1.5, pids: 10, tmpBytes: 500 },
};
const user = { uid: 10_001, gid: 10_001 };
const engine = { init: true, imageVolumes: [] };

describe("container options", () => {
  test("the worker is a user of its own under root, and else the daemon's own", () => {
    expect(workerUser({ uid: 0, gid: 0 })).toEqual({ uid: 10_001, gid: 10_001 });
    expect(workerUser({ uid: 1000, gid: 100 })).toEqual({ uid: 1000, gid: 100 });
  });

  test("the environment is the home folder and nothing else", () => {
    expect(containerOptions(spec, user, engine).Env).toEqual(["HOME=/home/gantry"]);
  });

  test("a folder with a colon is mounted as it is", () => {
    const { Mounts } = containerOptions(spec, user, engine).HostConfig;
    expect(Mounts.find(({ Target }) => Target === "/workspace")).toMatchObject({
      Source: "/srv/a:b/work",
      ReadOnly: false,
    });
  });

  test("volumes of the image become bounded memory, but not in place of what is mounted", () => {
    const imageVolumes = ["/data", "/workspace", "/tmp"];
    const { Tmpfs } = containerOptions(spec, user, { init: true, imageVolumes }).HostConfig;
    expect(Object.keys(Tmpfs).sort()).toEqual(["/data", "/home/gantry", "/tmp"]);
    expect(Tmpfs["/data"]).toContain("size=500");
  });

  test("init and runtime are named only where the engine has them", () => {
    expect(containerOptions(spec, user, { init: false, imageVolumes: [] }).HostConfig).not.toHaveProperty("Init");
    expect(containerOptions(spec, user, { ...engine, runtime: "kata-fc" }).HostConfig).toMatchObject({
      Runtime: "kata-fc",
    });
  });

  test("names differ by installation and hold only what the engine allows", () => {
    expect(containerName("a", "ses_1")).not.toBe(containerName("b", "ses_1"));
    expect(containerName("ä/..", "ses/../1")).toMatch(/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/);
  });
});

describe("labels", () => {
  test("what was labelled is recognised, by exactly its installation", () => {
    const labels = labelsOf(spec);
    expect(ownedBy(labels, "ins")).toEqual({ sessionId: "ses_1", epoch: 3 });
    for (const other of ["in", "ins2", "INS", ""]) expect(ownedBy(labels, other)).toBeUndefined();
  });

  test("incomplete or senseless labels are nobody's", () => {
    expect(ownedBy(undefined, "ins")).toBeUndefined();
    expect(ownedBy({ "gantry.installation": "ins" }, "ins")).toBeUndefined();
    expect(ownedBy({ ...labelsOf(spec), "gantry.epoch": "three" }, "ins")).toBeUndefined();
    expect(ownedBy({ "gantry.installation": "" }, "")).toBeUndefined();
  });
});

describe("which engines will do", () => {
  const good: EngineInfo = {
    ServerVersion: "28.0",
    OSType: "linux",
    OperatingSystem: "Debian GNU/Linux 12",
    SecurityOptions: ["name=seccomp,profile=default"],
    MemoryLimit: true,
    PidsLimit: true,
    CpuCfsQuota: true,
    Runtimes: { runc: {} },
  };

  test("a plain Linux engine does", () => {
    expect(judgeEngine(good)).toEqual({ ok: true, version: "28.0" });
  });

  test.each<[string, Partial<EngineInfo>, string]>([
    ["Windows containers", { OSType: "windows" }, "windows"],
    ["Docker Desktop", { OperatingSystem: "Docker Desktop" }, "virtual machine"],
    ["a rootless engine", { SecurityOptions: ["name=seccomp,profile=default", "name=rootless"] }, "maps users"],
    ["user mapping", { SecurityOptions: ["name=userns"] }, "maps users"],
    ["an engine without limits", { MemoryLimit: false, PidsLimit: false }, "cannot limit memory, pids"],
  ])("%s does not, and the reason says why", (_name, change, reason) => {
    expect(judgeEngine({ ...good, ...change })).toMatchObject({ ok: false, reason: expect.stringContaining(reason) });
  });

  test("[R-2.2] micro-VMs need their runtime", () => {
    expect(judgeEngine(good, "kata-fc")).toMatchObject({ ok: false, reason: expect.stringContaining("kata-fc") });
    expect(judgeEngine({ ...good, Runtimes: { "kata-fc": {} } }, "kata-fc")).toMatchObject({ ok: true });
  });
});
