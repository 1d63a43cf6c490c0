/**
 * From a prompt to the first event of its run, with the whole of Gantry between: `npm start`, its host, a sealed container,
 * the scripted provider. The floor is the container engine's own: create and start with the same image, options and
 * toolkit, until the runner in it says its first byte.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import Docker from "dockerode";
import { WebSocket } from "ws";
import { readSettings, statePaths } from "../../executor-host/config.ts";
import { containerOptions, workerUser } from "../../executor-host/container/container-spec.ts";
import type { WorkerSpec } from "../../executor-host/container/port.ts";
import { ensureBaseImage } from "../support/docker-image.ts";
import { Gantry } from "../support/gantry.ts";
import { within } from "../support/scripted-host.ts";
import { judged, type Result } from "./result.ts";
import { median, middleHalf, quantile } from "./statistics.ts";

const PROMPT = "say hello";
const WARM_PROMPTS = 3;
/** Often enough to be exact, seldom enough not to be in the way of what is measured. */
const POLL_MS = 5;
const QUIET_MS = 300;
const COLD_RATIO = 1.3;
const WARM_MS = 200;

export async function measureRunStart(rounds: number): Promise<Result[]> {
  const image = await ensureBaseImage();
  const gantry = await Gantry.start({ GANTRY_IMAGE: image });
  const folder = mkdtempSync(join(tmpdir(), "gb-"));
  const cold: number[] = [];
  const warm: number[] = [];
  const floor: number[] = [];
  try {
    for (let round = -1; round < rounds; round++) {
      const ofGantry = async () => {
        const session = await oneSession(gantry);
        if (round < 0) return;
        cold.push(session.cold);
        warm.push(...session.warm);
      };
      const ofEngine = async () => {
        const took = await oneContainer(specOf(gantry, image, join(folder, String(round + 1))));
        if (round >= 0) floor.push(took);
      };
      // Each goes first every other time, and begins when the other's traces are gone. The first makes the toolkit.
      for (const measure of round % 2 ? [ofGantry, ofEngine] : [ofEngine, ofGantry]) {
        await measure();
        await delay(QUIET_MS);
      }
    }
  } finally {
    await gantry.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
  return [
    judged(
      {
        name: "prompt to first event, cold worker",
        unit: "ms",
        value: median(cold),
        floor: median(floor),
        trials: cold.length,
        how: `${rounds} new sessions, in turns with as many containers of the engine alone (same image, options and toolkit; create and start until the runner's first byte); from the page's send to its receipt of the run's first message.delta, scripted provider; middle half ${middleHalf(cold)}, of the floor ${middleHalf(floor)}`,
      },
      { ratioAtMost: COLD_RATIO },
    ),
    judged(
      {
        name: "prompt to first event, warm worker",
        unit: "ms",
        value: median(warm),
        trials: warm.length,
        how: `${WARM_PROMPTS} further prompts in each of the same sessions; p99 ${quantile(warm, 0.99).toFixed(0)} ms`,
      },
      { atMost: WARM_MS },
    ),
  ];
}

async function oneSession(gantry: Gantry): Promise<{ cold: number; warm: number[] }> {
  const { session } = await gantry.json<{ session: { id: string } }>("/api/sessions", {
    method: "POST",
    body: { title: "bench", provider: "scripted" },
  });
  const { url, serviceToken } = gantry.started;
  const page = new WebSocket(`${url.replace(/^http/, "ws")}/api/sessions/${session.id}/socket?cursor=0`, {
    headers: { authorization: `Bearer ${serviceToken}` },
  });
  await once(page, "open");
  const cold = await firstEvent(page);
  const warm: number[] = [];
  for (let i = 0; i < WARM_PROMPTS; i++) warm.push(await firstEvent(page));
  page.close();
  await gantry.json(`/api/sessions/${session.id}`, { method: "DELETE" });
  // The next measurement begins on a machine that is done with this one.
  while (gantry.containers().length > 0) await delay(50);
  return { cold, warm };
}

/** Milliseconds until the run's first message.delta; answers when the run has finished. */
async function firstEvent(page: WebSocket): Promise<number> {
  let first: number | undefined;
  const finished = new Promise<void>((resolve, reject) => {
    const look = (data: unknown) => {
      const text = String(data);
      if (text.includes('"type":"message.delta"')) first ??= performance.now();
      if (!text.includes('"type":"run.finished"')) return;
      page.off("message", look);
      if (first === undefined) reject(new Error(`the run said nothing: ${text}`));
      else resolve();
    };
    page.on("message", look);
  });
  const began = performance.now();
  page.send(JSON.stringify({ type: "prompt", id: randomUUID(), prompt: { text: PROMPT } }));
  await within(finished, () => "the end of a run");
  return ((first as number | undefined) ?? began) - began;
}

function specOf(gantry: Gantry, image: string, folder: string): WorkerSpec {
  const paths = statePaths(join(gantry.stateDir, "host"));
  const { limits } = readSettings(paths, {});
  const dirs = { workspaceDir: join(folder, "w"), runDir: join(folder, "r"), egressDir: join(folder, "e") };
  for (const dir of Object.values(dirs)) {
    mkdirSync(dir, { recursive: true });
    chmodSync(dir, 0o777);
  }
  return {
    installationId: "bench",
    hostId: "bench",
    sessionId: randomUUID(),
    epoch: 1,
    image,
    toolkitDir: paths.toolkit,
    limits,
    ...dirs,
  };
}

/** Milliseconds from asking the engine for a container to the first byte of the runner in it. */
async function oneContainer(spec: WorkerSpec): Promise<number> {
  const docker = new Docker();
  const init = Boolean(((await docker.info()) as { InitBinary?: string }).InitBinary);
  const options = containerOptions(spec, workerUser(), { init, imageVolumes: [] });
  const began = performance.now();
  const container = await docker.createContainer(options);
  try {
    await container.start();
    while (!(await answers(join(spec.runDir, "runner.sock")))) await delay(POLL_MS);
    return performance.now() - began;
  } finally {
    await container.remove({ force: true, v: true });
  }
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ socketPath, path: "/health", agent: false }, (response) => {
      response.resume();
      resolve(true);
    });
    request.once("error", () => resolve(false));
  });
}
