/** A toolkit folder whose runner is stub-runner.mjs, and a worker's folders around it; all in one temporary folder. */
import { copyFile, link, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newId } from "../../durable/protocol/ids.ts";
import type { Worker, WorkerSpec } from "../../executor-host/container/port.ts";

const MiB = 1024 * 1024;

export type StubBehaviour = {
  mode: "healthy" | "dies" | "silent" | "deaf";
  exitCode?: number;
  says?: string;
  protocol?: number;
};

export class StubFolders {
  readonly root: string;
  readonly runRoot: string;
  readonly toolkitDir: string;

  private constructor(root: string) {
    this.root = root;
    this.runRoot = join(root, "run");
    this.toolkitDir = join(root, "toolkit");
  }

  static async make(): Promise<StubFolders> {
    const folders = new StubFolders(await mkdtemp(join(tmpdir(), "gantry-")));
    await mkdir(folders.runRoot);
    await mkdir(folders.toolkitDir);
    // A container sees the folder, not what a link in it points to; and copying 120 MB each time is not needed.
    const node = join(folders.toolkitDir, "node");
    await link(process.execPath, node).catch(() => copyFile(process.execPath, node));
    await copyFile(join(import.meta.dirname, "stub-runner.mjs"), join(folders.toolkitDir, "runner.mjs"));
    return folders;
  }

  /** A spec with folders of its own, the stub behaving as told. */
  async spec(
    installationId: string,
    image: string,
    behaviour: StubBehaviour = { mode: "healthy" },
  ): Promise<WorkerSpec> {
    const sessionId = newId("ses");
    const workspaceDir = join(this.root, "work", sessionId);
    const egressDir = join(this.root, "egress", sessionId);
    await mkdir(workspaceDir, { recursive: true });
    await mkdir(egressDir, { recursive: true });
    await writeFile(join(workspaceDir, "stub.json"), JSON.stringify(behaviour));
    return {
      installationId,
      hostId: newId("hst"),
      sessionId,
      epoch: 1,
      image,
      workspaceDir,
      runDir: join(this.runRoot, sessionId),
      egressDir,
      toolkitDir: this.toolkitDir,
      limits: { memoryBytes: 256 * MiB, cpus: 0.5, pids: 64, tmpBytes: 16 * MiB, fileBytes: 8 * MiB },
    };
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}

/** One request to a stub. @throws Error when the connection fails */
export function askStub<T>(
  worker: Pick<Worker, "socketPath">,
  method: "GET" | "POST",
  path: string,
  body?: unknown,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath: worker.socketPath, method, path, agent: false }, async (response) => {
      let text = "";
      for await (const chunk of response) text += chunk;
      resolve(JSON.parse(text));
    });
    asking.on("error", reject);
    asking.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

export type StubLook = {
  uid: number;
  gid: number;
  groups: number[];
  cwd: string;
  options: Record<string, string>;
  env: Record<string, string>;
  status: Record<string, string>;
  mounts: string;
  init: string;
  interfaces: string[];
  dockerSocket: boolean;
};
