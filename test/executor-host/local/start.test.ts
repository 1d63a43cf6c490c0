/**
 * `npm start` as a person or a script has it, without Docker (agents as plain processes): the whole tree of processes, from
 * bootstrap.mjs to the runner.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { inRepository } from "../../../executor-host/local/repository.ts";

type Ready = { url: string; signInUrl: string; serviceToken: string; hostId: string };
type Started = {
  child: ChildProcess;
  ready: Promise<Ready>;
  out: string[];
  err: string[];
  exited: Promise<number | null>;
};

const exitWithinMs = 40_000;

let stateDir: string;
let started: Started[];

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "gantry-start-"));
  started = [];
});
afterEach(async () => {
  for (const { child, exited } of started) {
    child.kill("SIGTERM");
    await exited;
  }
  rmSync(stateDir, { recursive: true, force: true });
});

function start(...args: string[]): Started {
  const file = inRepository("executor-host", "local", "bootstrap.mjs");
  // An address where no engine is: as on a machine without Docker.
  const env = { ...process.env, DOCKER_HOST: `unix://${join(stateDir, "no-engine.sock")}`, CI: "true" };
  const child = spawn(process.execPath, [file, "start", "--state", stateDir, "--json", ...args], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err]: string[][] = [[], []];
  child.stderr?.setEncoding("utf8").on("data", (text: string) => err?.push(text));
  const exited = once(child, "exit").then(([code]) => code as number | null);
  const ready = new Promise<Ready>((resolve, reject) => {
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      out?.push(text);
      if (text.endsWith("\n")) resolve(JSON.parse(text));
    });
    void exited.then((code) => reject(new Error(`npm start ended with ${code}\n${err?.join("")}`)));
  });
  ready.catch(() => {}); // Not every test waits for it.
  const result = { child, ready, out: out ?? [], err: err ?? [], exited };
  started.push(result);
  return result;
}

async function stop({ child, exited }: Started, signal: NodeJS.Signals): Promise<number | null> {
  child.kill(signal);
  return await Promise.race([exited, delay(exitWithinMs, -1, { ref: false })]);
}

/** Processes whose command line or environment names the state folder, however deep they are. */
function processesHere(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8") + readFileSync(`/proc/${pid}/environ`, "utf8");
        return words.includes(stateDir) ? [`${pid} ${words.slice(0, 200).replaceAll("\0", " ")}`] : [];
      } catch {
        return []; // It ended while we looked, or is another user's.
      }
    });
}

async function untilNone(): Promise<string[]> {
  for (let round = 0; round < 200 && processesHere().length > 0; round++) await delay(50);
  return processesHere();
}

async function prompt({ url, serviceToken }: Ready, body: object) {
  const headers = { authorization: `Bearer ${serviceToken}`, "content-type": "application/json" };
  const response = await fetch(`${url}/api/runs/start`, {
    method: "POST",
    headers,
    body: JSON.stringify({ provider: "scripted", ...body }),
  });
  return (await response.json()) as { outcome: string; text: string; sessionId: string };
}

describe.runIf(process.platform === "linux")("npm start", () => {
  it("takes a prompt, stops on Ctrl-C without leaving a process, and goes on from there", async () => {
    const first = start("--port", "0");
    const before = await first.ready;
    expect(Object.keys(before)).toEqual(["url", "signInUrl", "serviceToken", "hostId"]);
    expect(first.err.join("")).toContain("WITHOUT isolation");
    const written = await prompt(before, { prompt: "write note.txt kept\nsay written" });
    expect(written).toMatchObject({ outcome: "succeeded", text: "written" });
    expect(await stop(first, "SIGINT")).toBe(0);
    expect(await untilNone()).toEqual([]);
    expect(first.out.join("").trim().split("\n")).toHaveLength(1);

    const second = start();
    const after = await second.ready;
    expect({ ...after, signInUrl: "" }).toEqual({ ...before, signInUrl: "" });
    expect(await prompt(after, { sessionId: written.sessionId, prompt: "bash cat note.txt" })).toMatchObject({
      outcome: "succeeded",
    });
    expect(await stop(second, "SIGTERM")).toBe(0);
    expect(await untilNone()).toEqual([]);
  }, 180_000);

  it("refuses a second start on the same folder, in words", async () => {
    const first = start("--port", "0");
    await first.ready;
    const second = start("--port", "0");
    expect(await second.exited).toBe(1);
    expect(second.err.join("")).toContain("already runs");
    expect((await fetch(`${(await first.ready).url}/healthz`)).status).toBe(200);
  }, 120_000);

  it("leaves no process when its own supervisor is killed, and starts again", async () => {
    const first = start("--port", "0");
    await first.ready;
    first.child.kill("SIGKILL");
    expect(await untilNone()).toEqual([]);
    expect(await start().ready).toMatchObject({ hostId: (await first.ready).hostId });
  }, 120_000);

  it("says what is wrong with the command line", async () => {
    const wrong = start("--port", "many");
    expect(await wrong.exited).toBe(1);
    expect(wrong.err.join("")).toContain("--port has to be a whole number");
  });
});
