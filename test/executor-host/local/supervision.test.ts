import { existsSync, readFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ControlPlane } from "../../../executor-host/local/control-plane.ts";
import { lives } from "../../../executor-host/local/process-identity.ts";
import { type CounterFolder, counterFolder, startCounter } from "./counter-control-plane.ts";

const kills = 10;
const writers = 8;
const answerWithinMs = 3_000;

let folder: CounterFolder;
let control: ControlPlane;

beforeEach(async () => {
  folder = await counterFolder();
  control = await startCounter(folder);
});
afterEach(async () => {
  await control.dispose();
  await folder.remove();
});

/** Writes until stopped; keeps what was acknowledged, and the longest that any request took. */
function startLoad(url: string) {
  const acknowledged: string[] = [];
  let next = 0;
  let stopped = false;
  let slowestMs = 0;
  const writer = async () => {
    while (!stopped) {
      const id = String(next++);
      const began = performance.now();
      try {
        const response = await fetch(`${url}/api/write?id=${id}`, { signal: AbortSignal.timeout(20_000) });
        await response.text();
        if (response.ok) acknowledged.push(id);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // A broken connection is what a kill looks like.
      }
      slowestMs = Math.max(slowestMs, performance.now() - began);
    }
  };
  const lanes = Array.from({ length: writers }, writer);
  return {
    acknowledged,
    stop: async () => {
      stopped = true;
      await Promise.all(lanes);
      return slowestMs;
    },
  };
}

/** How long a connection that is made now waits for its answer. `fetch` would take an old one that the kill broke. */
async function answers(url: string): Promise<number> {
  const began = performance.now();
  const status = await new Promise((resolve, reject) => {
    const request = get(`${url}/api/instance`, { agent: false, timeout: 20_000 }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode));
    });
    request.once("error", reject);
  });
  expect(status).toBe(200);
  return performance.now() - began;
}

describe("workerd under supervision", () => {
  it("keeps every acknowledged write and answers again soon when workerd is killed again and again under load", async () => {
    const load = startLoad(control.url);
    const waitedMs: number[] = [];
    for (let kill = 0; kill < kills; kill++) {
      await delay(100);
      const pid = workerdPid();
      control.killWorkerd();
      await untilGone(pid);
      waitedMs.push(await answers(control.url));
    }
    const slowestMs = await load.stop();
    const written = new Set((await (await fetch(`${control.url}/api/all`)).json()) as string[]);
    expect(load.acknowledged.length).toBeGreaterThan(kills);
    expect(load.acknowledged.filter((id) => !written.has(id))).toEqual([]);
    expect(Math.max(...waitedMs)).toBeLessThan(answerWithinMs);
    expect(slowestMs).toBeLessThan(answerWithinMs * 2);
  });

  it("comes back on the same port with its state when the process around workerd is killed", async () => {
    await fetch(`${control.url}/api/write?id=before`);
    const pid = workerdPid();
    control.killKeeper();
    await untilGone(pid);
    const deadline = Date.now() + 10_000;
    let all: unknown;
    while (all === undefined && Date.now() < deadline) {
      all = await fetch(`${control.url}/api/all`).then(
        (response) => response.json(),
        () => delay(50),
      );
    }
    expect(all).toEqual(["before"]);
  });

  it("ends a workerd that an earlier start left behind, and takes over its state", async () => {
    await fetch(`${control.url}/api/write?id=first`);
    const left = workerdPid();
    const second = await startCounter(folder);
    try {
      expect(lives(left)).toBe(false);
      expect(await (await fetch(`${second.url}/api/all`)).json()).toEqual(["first"]);
    } finally {
      // The first one restarts its workerd, as it should; here it must not.
      await control.dispose();
      await second.dispose();
    }
  });

  it("leaves no process behind", async () => {
    const pid = workerdPid();
    await control.dispose();
    expect(lives(pid)).toBe(false);
    expect(existsSync(join(folder.stateDir, "workerd.json"))).toBe(false);
    await expect(fetch(`${control.url}/api/instance`)).rejects.toThrow();
  });

  it("refuses a port that is taken", async () => {
    const other = await counterFolder();
    try {
      const port = Number(new URL(control.url).port);
      await expect(startCounter(other, port)).rejects.toMatchObject({ code: "EADDRINUSE" });
    } finally {
      await other.remove();
    }
  });
});

function workerdPid() {
  return JSON.parse(readFileSync(join(folder.stateDir, "workerd.json"), "utf8")) as { pid: number; began: string };
}

async function untilGone(identity: { pid: number; began: string }): Promise<void> {
  while (lives(identity)) await delay(5);
}
