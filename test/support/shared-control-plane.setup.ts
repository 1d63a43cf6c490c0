/**
 * One control plane for all test files that do not mind each other: started when the first of them asks, in the process
 * that runs them, and reached over a socket of this file's own. The files' side is shared-control-plane.ts.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startTestControlPlane } from "./control-plane.ts";
import { SECRETS } from "./secrets.ts";
import type { Asked } from "./shared-control-plane.ts";

let clean: () => Promise<void> = async () => {};

export async function setup(project: TestProject): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-plane-"));
  const socketPath = join(folder, "plane.sock");
  let plane: ReturnType<typeof startTestControlPlane> | undefined;

  async function answer(asked: Asked): Promise<unknown> {
    plane ??= startTestControlPlane({ secrets: SECRETS });
    const control = await plane;
    switch (asked.ask) {
      case "address":
        return { url: control.url, stateDir: control.stateDir };
      case "query":
        return control.query(asked.sql, ...asked.params);
      case "evict":
        return control.evict(asked.className, asked.objectName, asked.options);
      case "cron":
        return control.fireCron();
    }
  }

  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      answer(JSON.parse(Buffer.concat(parts).toString("utf8")) as Asked)
        .then((value) => response.end(JSON.stringify(value ?? null)))
        .catch((error: unknown) => {
          response.statusCode = 500;
          response.end(JSON.stringify(error instanceof Error ? error.message : String(error)));
        });
    });
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  project.provide("sharedControlPlane", socketPath);
  clean = async () => {
    server.close();
    await (await plane)?.dispose();
    rmSync(folder, { recursive: true, force: true });
  };
}

export async function teardown(): Promise<void> {
  await clean();
}
