/**
 * `npm run bench`: what Gantry costs, as ratios to the least that could be there instead, in one interleaved run. The
 * table goes to people, `--json FILE` to whoever wants to check. Everything is on this machine, bounded, and ends by itself.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { measureAgentStart } from "./agent-start.ts";
import { startBareSide } from "./bare-side.ts";
import { countStorage } from "./count-storage.ts";
import { measureDispatch } from "./dispatch.ts";
import { measureDrain, measurePeersDrain } from "./drain.ts";
import { measureLatency } from "./event-latency.ts";
import { measureThroughput } from "./event-throughput.ts";
import { startGantrySide } from "./gantry-side.ts";
import { measureLong } from "./long-session.ts";
import { type Peer, startPeers } from "./peers/peers.ts";
import { measureRecovery } from "./recovery.ts";
import { type Result, table } from "./result.ts";
import { measureResume, measureWake } from "./resume.ts";
import { measureRunStart } from "./run-start.ts";
import type { Side } from "./side.ts";
import { measureWorkspace } from "./workspace.ts";

/** Some compare the two sides; some bring what they need. */
type Suite =
  | { sides: (sides: readonly [Side, Side]) => Promise<Result[]> }
  | { alone: (peers: readonly Peer[]) => Promise<Result[]> };

const SUITES: Record<string, Suite> = {
  latency: {
    sides: async (sides) => [
      ...(await measureLatency(sides, { viewers: 1, rounds: 15 })),
      ...(await measureLatency(sides, { viewers: 50, rounds: 15 })),
    ],
  },
  throughput: {
    sides: async (sides) => [
      await measureThroughput(sides, {
        eventsPerFrame: 1,
        framesPerBlock: 1_500,
        window: 64,
        rounds: 11,
        atLeast: 2_000,
      }),
      await measureThroughput(sides, {
        eventsPerFrame: 100,
        framesPerBlock: 150,
        window: 16,
        rounds: 11,
        atLeast: 50_000,
      }),
    ],
  },
  resume: { sides: async (sides) => await measureResume(sides, 40) },
  wake: { sides: async (sides) => [await measureWake(sides, 40)] },
  long: { sides: async (sides) => await measureLong(sides, { wakes: 20, resumes: 5 }) },
  dispatch: { alone: async (peers) => await measureDispatch(200, peers) },
  drain: {
    alone: async (peers) => {
      const load = { runs: 1_000, hosts: 4 };
      return [await measureDrain(load), ...(await measurePeersDrain(peers, load))];
    },
  },
  recovery: { alone: async () => await measureRecovery(5) },
  rows: { alone: countStorage },
  "run-start": { alone: async () => await measureRunStart(10) },
  agent: { alone: async () => await measureAgentStart(15) },
  workspace: { alone: measureWorkspace },
};

const USAGE = `usage: npm run bench -- [--json FILE] [--peers] [--only ${Object.keys(SUITES).join("|")}]...

--peers measures dispatch and drain beside BullMQ and graphile-worker, where Redis and PostgreSQL are installed.
Exits with 1 when a bar was missed.`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: "string" },
      peers: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      help: { type: "boolean", default: false },
    },
  });
  const unknown = values.only.filter((name) => !(name in SUITES));
  if (values.help || unknown.length > 0) {
    console.log(USAGE);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const results = await measure(values.only.length > 0 ? values.only : Object.keys(SUITES), values.peers);
  console.log(table(results));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ results }, null, 2)}\n`);
  if (results.some(({ ok }) => ok === false)) process.exitCode = 1;
}

async function measure(names: readonly string[], withPeers: boolean): Promise<Result[]> {
  const results: Result[] = [];
  const peers = withPeers ? await startPeers() : [];
  let sides: readonly [Side, Side] | undefined;
  try {
    for (const name of names) {
      console.error(`measuring ${name} …`);
      const suite = SUITES[name] as Suite;
      if ("sides" in suite) {
        sides ??= [await startGantrySide(), await startBareSide()];
        results.push(...(await suite.sides(sides)));
      } else {
        // Nothing else may be at work meanwhile.
        await dispose(sides);
        sides = undefined;
        results.push(...(await suite.alone(peers)));
      }
    }
  } finally {
    await dispose(sides);
    for (const peer of peers) await peer.stop();
  }
  return results;
}

async function dispose(sides: readonly Side[] = []): Promise<void> {
  for (const side of sides) await side.dispose();
}

await main();
