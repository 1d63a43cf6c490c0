/**
 * Three projects by what they need. A test file says where it belongs by its name or folder (test/architecture checks that
 * each belongs somewhere):
 *
 *   test/e2e/**                                    e2e      Chromium and a Docker engine
 *   docker.test.ts, *.docker.test.ts, test/docker  docker   a Docker engine
 *   every other *.test.ts                          unit     Node alone
 */
import { defineConfig } from "vitest/config";

const e2e = ["test/e2e/**/*.test.{ts,tsx}"];
const docker = ["test/**/docker.test.ts", "test/**/*.docker.test.ts", "test/docker/**/*.test.ts"];

/** Containers and control planes take seconds; a time-out is there to end what hangs, never to pass a test. */
const engineTimeouts = { testTimeout: 120_000, hookTimeout: 120_000 };

// biome-ignore lint/style/noDefaultExport: Vitest loads the default export
export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 2,
    passWithNoTests: false,
    // A condition that has to come about is waited for; one second would make a busy machine a reason to fail.
    expect: { poll: { timeout: 15_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.{ts,tsx}"],
          globalSetup: ["test/support/shared-control-plane.setup.ts"],
          exclude: [...e2e, ...docker, "**/node_modules/**"],
          testTimeout: 90_000,
          hookTimeout: 180_000,
        },
      },
      { extends: true, test: { name: "docker", include: docker, fileParallelism: false, ...engineTimeouts } },
      {
        extends: true,
        test: { name: "e2e", include: e2e, exclude: docker, fileParallelism: false, ...engineTimeouts },
      },
    ],
  },
});
