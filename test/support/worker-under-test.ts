/**
 * The real Worker on a real workerd, configured from wrangler.toml: real objects, D1 with its migrations, R2. Tests
 * speak HTTP and WebSocket to it, as everyone else does.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestHarness } from "wrangler";
import { build } from "../../executor-host/local/build.ts";
import { startControlPlane } from "../../executor-host/local/control-plane.ts";
import type { TestControlPlane } from "./control-plane.ts";
import { SECRETS } from "./secrets.ts";
import { sharedControlPlane } from "./shared-control-plane.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export type WorkerUnderTest = {
  origin: string;
  /** A request to the Worker; a relative path is enough. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  sql<T = Record<string, unknown>>(statement: string, ...values: unknown[]): Promise<T[]>;
  close(): Promise<void>;
  /** Set when the test has an organisation of its own in a control plane that others use, too. */
  plane?: TestControlPlane;
};

/** With what the Worker logged, oldest first. */
export type OwnWorker = WorkerUnderTest & { logs: string[] };

export type WranglersWorker = WorkerUnderTest & { harness: TestHarness };

/** The Worker of the shared control plane: `firstCaller` and its like are of a new organisation. */
export async function sharedWorker(): Promise<WorkerUnderTest> {
  const plane = await sharedControlPlane();
  return {
    origin: plane.url,
    plane,
    fetch: (path, init) => fetch(new URL(path, plane.url), { redirect: "manual", ...init }),
    sql: async <T>(statement: string, ...values: unknown[]) => (await plane.query(statement, ...values)) as T[],
    close: async () => {},
  };
}

/**
 * One for this test alone, which nobody has asked for anything yet.
 * @param secrets what the Worker is given instead of `SECRETS`
 */
export async function startWorker(secrets: Record<string, string> = SECRETS): Promise<OwnWorker> {
  const stateDir = mkdtempSync(join(tmpdir(), "gantry-worker-"));
  const logs: string[] = [];
  const built = await build();
  const log = (level: string, message: string) => void logs.push(`${level} ${message}`);
  const plane = await startControlPlane({ port: 0, stateDir, secrets, log, built });
  return {
    origin: plane.url,
    logs,
    fetch: (path, init) => fetch(new URL(path, plane.url), { redirect: "manual", ...init }),
    sql: async <T>(statement: string, ...values: unknown[]) => (await plane.query(statement, ...values)) as T[],
    async close() {
      await plane.dispose();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** One for this test alone, as wrangler itself starts it: three times the CPU. Its harness has a scheduler and the bindings. */
export async function startWithWrangler(): Promise<WranglersWorker> {
  // wrangler insists on the folder of the portal's files; the API needs none of them.
  mkdirSync(`${ROOT}dist/web`, { recursive: true });
  // Loaded here: it takes most of a second, and most tests share a control plane that needs no wrangler.
  const { createTestHarness } = await import("wrangler");
  const harness = createTestHarness({
    root: ROOT,
    workers: [{ configPath: "wrangler.toml", secrets: SECRETS }],
  });
  const { url } = await harness.listen();
  await harness.getWorker().applyD1Migrations("DB");
  return {
    origin: url.origin,
    harness,
    fetch: (path, init) => fetch(new URL(path, url), { redirect: "manual", ...init }),
    async sql<T>(statement: string, ...values: unknown[]) {
      const { DB } = await harness.getWorker<{ DB: D1Like }>().getEnv();
      return (
        await DB.prepare(statement)
          .bind(...values)
          .all<T>()
      ).results;
    },
    close: () => harness.close(),
  };
}

type D1Like = {
  prepare(statement: string): { bind(...values: unknown[]): { all<T>(): Promise<{ results: T[] }> } };
};
