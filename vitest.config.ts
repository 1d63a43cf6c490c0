/**
 * Three projects by what they need. A test file says where it belongs by its name or folder (test/architecture checks that
 * each belongs somewhere):
 *
 *   test/e2e/**                                    e2e      Chromium and a Docker engine
 *   docker.test.ts, *.docker.test.ts, test/docker  docker   a Docker engine
 *   every other *.test.ts                          unit     Node alone; the adapters' suites say so where no engine answers
 */
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const e2e = ["test/e2e/**/*.test.{ts,tsx}"];
const docker = ["test/**/docker.test.ts", "test/**/*.docker.test.ts", "test/docker/**/*.test.ts"];

/** Containers and control planes take seconds; a time-out is there to end what hangs, never to pass a test. */
const engineTimeouts = { testTimeout: 120_000, hookTimeout: 120_000 };

/**
 * Vitest knows how long a file takes only from an earlier run, and a clean checkout had none: what starts real agent CLIs or
 * whole programs goes first, so that no long file is alone at the end.
 */
const SLOW = [
  /runner\/opencode/,
  /mixed-runs/,
  /runner\/(?:claude-code|acp|codex)/,
  /\/(?:cli|local|objects|faults|fuzz|store)\//,
];

class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = SLOW.findIndex((pattern) => pattern.test(moduleId));
      return at < 0 ? SLOW.length : at;
    };
    return [...(await super.sort(files))].sort((a, b) => rank(a) - rank(b));
  }
}

// biome-ignore lint/style/noDefaultExport: Vitest loads the default export
export default defineConfig({
  test: {
    pool: "forks",
    // One more than most machines of a CI have processors: a file that waits for a clock or a model leaves room.
    maxWorkers: 3,
    sequence: { sequencer: SlowFirst },
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
