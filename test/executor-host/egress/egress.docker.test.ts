/** A sealed worker that uses a key which it cannot read: from inside the container, through the socket, to a provider. */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { workerUser } from "../../../executor-host/container/container-spec.ts";
import { DockerEngine } from "../../../executor-host/container/docker.ts";
import type { Worker, WorkerSpec } from "../../../executor-host/container/port.ts";
import { upstreamsFrom } from "../../../executor-host/egress/credentials.ts";
import { type EgressProxy, startEgressProxy } from "../../../executor-host/egress/proxy.ts";
import { ensureBaseImage } from "../../support/docker-image.ts";
import { askStub, StubFolders } from "../../support/stub-toolkit.ts";

const key = `sk-canary-${randomUUID()}`;

describe("[R-2.5] a sealed worker's way out", () => {
  const installationId = `test-${randomUUID()}`;
  const engine = new DockerEngine();
  let folders: StubFolders;
  let spec: WorkerSpec;
  let worker: Worker;
  let provider: Server;
  let proxy: EgressProxy;
  let keysSeen: unknown[];

  const startProxy = () =>
    startEgressProxy({
      sessionId: spec.sessionId,
      egressDir: spec.egressDir as string,
      policy: () => ({ mode: "providers" }),
      upstreams: () => {
        const base = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
        return upstreamsFrom({ ANTHROPIC_BASE_URL: base, ANTHROPIC_API_KEY: key });
      },
      log: { info: () => undefined, error: (line) => expect.unreachable(line.error) },
      owner: workerUser(),
    });
  /** Asks from inside the container. */
  const askInside = async (path: string): Promise<{ status: number; text: string }> => {
    const script = `const asking = require("node:http").request({ socketPath: "/run/egress/proxy.sock", method: "POST", path: ${JSON.stringify(path)} },
      async (response) => { let text = ""; for await (const chunk of response) text += chunk; console.log(JSON.stringify({ status: response.statusCode, text })); });
      asking.end("{}");`;
    const body = { program: "/opt/gantry/node", args: ["-e", script] };
    const { stdout, stderr } = await askStub<{ stdout: string; stderr: string }>(worker, "POST", "/run", body);
    expect(stderr).toBe("");
    return JSON.parse(stdout);
  };

  beforeAll(async () => {
    keysSeen = [];
    provider = createServer((request, response) => {
      keysSeen.push(request.headers["x-api-key"]);
      response.end("an answer");
    });
    await new Promise<void>((resolve) => provider.listen(0, "127.0.0.1", resolve));
    folders = await StubFolders.make();
    spec = await folders.spec(installationId, await ensureBaseImage());
    proxy = await startProxy();
    worker = await engine.start(spec);
  }, 600_000);
  afterAll(async () => {
    for (const left of await engine.find(installationId)) await engine.remove(left, 0);
    await proxy?.close();
    provider?.close();
    await folders?.remove();
  });

  test("the provider gets the key, the worker gets the answer", async () => {
    expect(await askInside("/provider/claude-code/v1/messages")).toEqual({ status: 200, text: "an answer" });
    expect(keysSeen).toEqual([key]);
  });

  test("everything else is refused", async () => {
    for (const path of ["/", "http://169.254.169.254/", "/provider/claude-code/v1/files"]) {
      expect(await askInside(path)).toMatchObject({ status: 403, text: expect.stringContaining("egress_denied") });
    }
  });

  test("a daemon that was started again serves the worker that went on", async () => {
    await proxy.close();
    proxy = await startProxy();
    expect(await askInside("/provider/claude-code/v1/messages")).toMatchObject({ status: 200 });
  });

  test("after all that the key is nowhere in the container: not in a process, not in a file, not in the engine's record", async () => {
    const everything = `cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n';
      find /workspace /run /tmp /home /dev/shm -type f -exec cat {} +`;
    const dump = await askStub<{ stdout: string }>(worker, "POST", "/run", { program: "sh", args: ["-c", everything] });
    expect(dump.stdout).toContain("/opt/gantry/runner.mjs");
    expect(dump.stdout).not.toContain(key);
    const { stdout } = await promisify(execFile)("docker", ["inspect", worker.id]);
    expect(stdout).not.toContain(key);
    const logs = await promisify(execFile)("docker", ["logs", worker.id]);
    expect(logs.stdout + logs.stderr).not.toContain(key);
  });
});
