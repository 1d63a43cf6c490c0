/** A program that is handed from one run to the next, and what it has started for each of them. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { Processes } from "../../../executor-host/runner/processes.ts";

/** Starts a program in a session of its own for each line it is sent, and says its process id. */
function spawnServer(run: Processes): ChildProcess {
  const script = "while read -r; do setsid tail -f /dev/null & echo $!; done";
  const server = run.spawn("bash", ["-c", script], {
    cwd: "/",
    env: { PATH: process.env.PATH },
    stdio: ["pipe", "pipe", "ignore"],
  });
  onTestFinished(() => void server.kill("SIGKILL"));
  return server;
}

async function startedBy(server: ChildProcess): Promise<number> {
  server.stdin?.write("\n");
  const [line] = await once(server.stdout!, "data");
  return Number(line);
}

/** What was killed and belongs to nobody here stays in /proc for a moment, without a command. */
function isAlive(pid = 0): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8") !== "";
  } catch {
    return false;
  }
}

test("a released program is not waited for and goes on; what it has started for its run is ended", async () => {
  const run = new Processes("run_1");
  const server = spawnServer(run);
  const started = await startedBy(server);
  run.release(server);
  await run.empty();
  run.signal("SIGKILL");
  await expect.poll(() => isAlive(started)).toBe(false);
  expect(isAlive(server.pid)).toBe(true);
});

test("an adopted program ends with its new run, and so does what it started since; what it had started is left alone", async () => {
  const first = new Processes("run_1");
  const server = spawnServer(first);
  const earlier = await startedBy(server);
  onTestFinished(() => void process.kill(earlier, "SIGKILL"));
  first.release(server);

  const second = new Processes("run_2");
  second.adopt(server);
  const later = await startedBy(server);
  second.signal("SIGKILL");
  await second.empty();
  expect(isAlive(server.pid)).toBe(false);
  await expect.poll(() => isAlive(later)).toBe(false);
  expect(isAlive(earlier)).toBe(true);
});

test("a program that has gone is not adopted", async () => {
  const first = new Processes("run_1");
  const server = spawnServer(first);
  first.release(server);
  server.kill("SIGKILL");
  await once(server, "exit");
  const second = new Processes("run_2");
  second.adopt(server);
  await expect(second.empty()).resolves.toBeUndefined();
});
