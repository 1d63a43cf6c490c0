/**
 * The real Worker on a real workerd, configured from wrangler.toml: real objects, D1 with its migrations, R2. Tests
 * speak HTTP and WebSocket to it, as everyone else does.
 */
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createTestHarness, type TestHarness } from "wrangler";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export const SECRETS = {
  SIGNING_KEY: "signing-key-of-the-tests-4f1d9c7ab2e85036",
  ENCRYPTION_KEY: "encryption-key-of-the-tests-91ce03b7d5aa6f48",
  BOOTSTRAP_TOKEN: "bootstrap-token-of-the-tests-c0b7e1f26d934a58",
};

export type WorkerUnderTest = {
  origin: string;
  harness: TestHarness;
  /** A request to the Worker; a relative path is enough. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  sql<T = Record<string, unknown>>(statement: string, ...values: unknown[]): Promise<T[]>;
  close(): Promise<void>;
};

/** @param secrets what the Worker is given instead of `SECRETS` */
export async function startWorker(secrets: Record<string, string> = SECRETS): Promise<WorkerUnderTest> {
  // wrangler insists on the folder of the portal's files; the API needs none of them.
  mkdirSync(`${ROOT}dist/web`, { recursive: true });
  const harness = createTestHarness({
    root: ROOT,
    workers: [{ configPath: "wrangler.toml", secrets }],
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
