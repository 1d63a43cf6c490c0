/**
 * What a hosted session would be billed for: rows written and requests, counted and not estimated. The Worker is the built
 * one with a counter around its storage (counting-worker.mjs); latency is not measured here.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build as bundle } from "esbuild";
import { type Built, build } from "../../executor-host/local/build.ts";
import { parseWorkerConfig } from "../../executor-host/local/worker-config.ts";
import { type GantrySide, startGantrySide } from "./gantry-side.ts";
import { judged, type Result } from "./result.ts";
import { tokenFrames } from "./token-stream.ts";
import { ACKNOWLEDGE_EVERY_EVENTS } from "./viewer.ts";

const EVENTS = 1_000;
const TOKENS = 5_000;
const TOKENS_PER_SECOND = 80;
/** Incoming WebSocket messages are billed 20 to 1. */
const FRAMES_PER_REQUEST = 20;
/** One log row a frame, and the folded view now and then. */
const ROWS_PER_FRAME = 1.05;

type Counted = { rowsWritten: number; alarmsSet: number };

export async function countStorage(): Promise<Result[]> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-bench-"));
  const side = await startGantrySide(await countingBuild(folder));
  try {
    const results: Result[] = [];
    for (const perFrame of [1, 100]) results.push(...(await count(side, perFrame)));
    results.push(...(await countTokenStream(side)));
    return results;
  } finally {
    await side.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function count(side: GantrySide, perFrame: number): Promise<Result[]> {
  const session = await side.newSession();
  const viewer = await session.join(0);
  await viewer.live();
  const before = await read(side, session.objectName);
  const frames = EVENTS / perFrame;
  for (let i = 0; i < frames; i++) {
    session.send(perFrame);
    await viewer.has(session.sent);
  }
  const after = await read(side, session.objectName);
  const { violations } = viewer;
  await viewer.close();
  // Each alarm that is set is billed as a row.
  const rows = after.rowsWritten - before.rowsWritten + after.alarmsSet - before.alarmsSet;
  const messages = frames + EVENTS / ACKNOWLEDGE_EVERY_EVENTS;
  const name = `per ${EVENTS} events, ${perFrame === 1 ? "one" : perFrame} per frame`;
  return [
    judged(
      {
        name: `rows written ${name}`,
        unit: "rows",
        value: rows,
        floor: frames,
        trials: EVENTS,
        violations,
        how: `sum of rowsWritten of every statement of the object and of the alarms it set (${after.alarmsSet - before.alarmsSet}), one viewer; the floor is one row a frame`,
      },
      { ratioAtMost: Math.max(ROWS_PER_FRAME, (frames + 1) / frames) },
    ),
    judged({
      name: `billable requests ${name}`,
      unit: "requests",
      value: messages / FRAMES_PER_REQUEST,
      trials: EVENTS,
      how: `${frames} frames of the host and ${EVENTS / ACKNOWLEDGE_EVERY_EVENTS} acknowledgements of one viewer, incoming messages being billed ${FRAMES_PER_REQUEST} to 1; outgoing ones and answered pings are free`,
    }),
  ];
}

/** A run of 5,000 tokens from its provider's first word to the fold after its end. */
async function countTokenStream(side: GantrySide): Promise<Result[]> {
  const session = await side.newSession();
  const viewer = await session.join(0);
  await viewer.live();
  const before = await read(side, session.objectName);
  const frames = tokenFrames(TOKENS, TOKENS_PER_SECOND);
  for (const events of frames) await session.say(events);
  await session.finish();
  const after = await read(side, session.objectName);
  await viewer.close();
  const alarms = after.alarmsSet - before.alarmsSet;
  const rows = after.rowsWritten - before.rowsWritten + alarms;
  const how = `${TOKENS} tokens at ${TOKENS_PER_SECOND} a second, 1 to 12 characters each, unevenly spaced, through the runner's and the host's own gathering on a clock that is moved by hand: ${frames.length} frames`;
  const messages = frames.length + 1 + Math.ceil(frames.length / ACKNOWLEDGE_EVERY_EVENTS);
  return [
    judged(
      {
        name: `rows written, a run of ${TOKENS} tokens`,
        unit: "rows",
        value: rows,
        floor: frames.length,
        trials: TOKENS,
        how: `${how}; with its end, the fold and ${alarms} alarms; the floor is one row a frame`,
      },
      { atMost: 700 },
    ),
    judged({
      name: "rows written per 1,000 tokens",
      unit: "rows",
      value: (rows * 1_000) / TOKENS,
      trials: TOKENS,
      how,
    }),
    judged({
      name: `billable requests, a run of ${TOKENS} tokens`,
      unit: "requests",
      value: messages / FRAMES_PER_REQUEST,
      trials: TOKENS,
      how: `${how}; one viewer's acknowledgements with them; incoming messages are billed ${FRAMES_PER_REQUEST} to 1`,
    }),
  ];
}

async function read(side: GantrySide, name: string): Promise<Counted> {
  const response = await fetch(`${side.url}/bench/storage?session=${encodeURIComponent(name)}`);
  return (await response.json()) as Counted;
}

/** The built Worker inside its counter, as a build of its own. */
async function countingBuild(folder: string): Promise<Built> {
  const { workerDir, webDir } = await build();
  await bundle({
    stdin: { contents: entry(join(workerDir, "index.js")), resolveDir: import.meta.dirname },
    outfile: join(folder, "index.js"),
    bundle: true,
    format: "esm",
    target: "es2024",
    platform: "browser",
    external: ["cloudflare:*", "node:*"],
    keepNames: true,
    logLevel: "silent",
  });
  const config = parseWorkerConfig(readFileSync(join(workerDir, "config.json"), "utf8"));
  const first = { ...config.assets, run_worker_first: true };
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, assets: first }));
  return { workerDir: folder, webDir };
}

const entry = (worker: string): string => `
import * as gantry from ${JSON.stringify(worker)};
import { counting, withDoor } from "./counting-worker.mjs";
export const { FleetObject } = gantry;
export const SessionObject = counting(gantry.SessionObject);
export default withDoor(gantry.default);
`;
