/**
 * How long a run that was asked for takes to reach a host. Hosts are scripted: what is measured is the control plane, to the
 * frame that hands the run over.
 */
import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { WebSocket } from "ws";
import { accepted, finished, type Mouth, Offers, Pool } from "../faults/pool.ts";
import type { Peer } from "./peers/peers.ts";
import { judged, type Result } from "./result.ts";
import { middleHalf, quantile } from "./statistics.ts";

const P50_OVER_FLOOR_MS = 5;
const P99_OVER_FLOOR_MS = 30;
/** The event with which a run begins to wait. */
const QUEUED = '"type":"session.prompted"';
const WARM_UP = 10;

type Dispatch = { dispatchMs: number; wholeMs: number };

/**
 * A run's way to a host that holds the session, and to one that has to be given it, in turns with empty requests.
 * @param peers other queues, measured in the same turns
 */
export async function measureDispatch(rounds: number, peers: readonly Peer[] = []): Promise<Result[]> {
  const pool = await Pool.open();
  const warm: number[] = [];
  const cold: Dispatch[] = [];
  const floor: number[] = [];
  const others = new Map(peers.map(({ name }) => [name, [] as number[]]));
  let violations = 0;
  try {
    const offers = new Offers("with the answer");
    offers.follow(await pool.host());
    const lane = await Lane.open(pool, offers);
    for (let round = -WARM_UP; round < rounds; round++) {
      const measured = [await emptyRequest(pool), await lane.dispatch(), await coldDispatch(pool, offers)] as const;
      const theirs = new Map<string, number>();
      for (const peer of peers) theirs.set(peer.name, await peer.dispatch());
      if (round < 0) continue;
      for (const [name, ms] of theirs) others.get(name)?.push(ms);
      floor.push(measured[0]);
      warm.push(measured[1]);
      cold.push(measured[2]);
    }
    violations = lane.violations;
    lane.close();
  } finally {
    await pool.dispose();
  }
  const how = `${rounds} rounds in turns: an empty request (GET /healthz) as the floor, an enqueue over HTTP; to the frame run.start at the host's socket`;
  const whole = "from the first byte of the request, which is signed in, checked and stored on the way";
  const committed = `${how}; from the moment a viewer's socket has the run as queued, which is after its commit; in between offer, acceptance and a new data link`;
  const from = (which: keyof Dispatch, of: Dispatch[]) => of.map((each) => each[which]);
  return [
    ...judgedDispatch("dispatch to a host that holds the session, from the request", warm, {
      floor,
      violations,
      how: `${how}; ${whole}`,
    }),
    ...judgedDispatch("dispatch to a host that is given the session", from("dispatchMs", cold), {
      floor,
      violations,
      how: committed,
    }),
    ...told("the same, from the request", from("wholeMs", cold), `${how}; ${whole}`),
    ...[...others].flatMap(([name, values]) =>
      told(
        `${name}: asked to worker has it`,
        values,
        "in the same turns; from the call that asks to the worker's function",
      ),
    ),
  ];
}

/** Without a bar. */
const told = (name: string, values: number[], how: string): Result[] =>
  [0.5, 0.99].map((share) =>
    judged({
      name: `${name}, p${share * 100}`,
      unit: "ms",
      value: quantile(values, share),
      trials: values.length,
      how: `${how}; middle half ${middleHalf(values)}`,
    }),
  );

type Judgement = { floor: number[]; violations: number; how: string };

function judgedDispatch(name: string, values: number[], { floor, violations, how }: Judgement): Result[] {
  return (
    [
      [0.5, P50_OVER_FLOOR_MS],
      [0.99, P99_OVER_FLOOR_MS],
    ] as const
  ).map(([share, over]) => {
    const least = quantile(floor, share);
    return judged(
      {
        name: `${name}, p${share * 100}`,
        unit: "ms",
        value: quantile(values, share),
        floor: least,
        trials: values.length,
        violations,
        how: `${how}; middle half ${middleHalf(values)}`,
      },
      { overFloorAtMost: over },
    );
  });
}

async function emptyRequest(pool: Pool): Promise<number> {
  const began = performance.now();
  await (await fetch(`${pool.plane.url}/healthz`)).arrayBuffer();
  return performance.now() - began;
}

/** A session that a host holds, and what is seen of it. */
class Lane {
  violations = 0;
  readonly #pool: Pool;
  readonly #sessionId: string;
  readonly #mouth: Mouth;
  readonly #viewer: WebSocket;

  private constructor(pool: Pool, sessionId: string, mouth: Mouth, viewer: WebSocket) {
    this.#pool = pool;
    this.#sessionId = sessionId;
    this.#mouth = mouth;
    this.#viewer = viewer;
  }

  static async open(pool: Pool, offers: Offers): Promise<Lane> {
    const { sessionId, runId, page } = await pool.asked();
    const mouth = await accepted(await offers.next(sessionId));
    await mouth.link.message("run.start");
    mouth.send({ type: "worker.status", state: "active" });
    mouth.send({ type: "run.started", runId });
    await mouth.told({ type: "run.events", runId, events: [finished] });
    await page.until("the end", (view) => view.runs[0]?.state === "finished");
    page.close();
    return new Lane(pool, sessionId, mouth, await viewerOf(pool, sessionId, page.view.cursor));
  }

  /** Asks for a run, has it begun and ended. Answers the milliseconds from the request to the host. */
  async dispatch(): Promise<number> {
    const began = performance.now();
    const started = seen(this.#mouth.link.socket, '"type":"run.start"');
    const { runId } = await enqueue(this.#pool, this.#sessionId);
    const startedAt = await started;
    const { run } = await this.#mouth.link.message<{ type: string; run: { runId: string } }>("run.start");
    if (run.runId !== runId) this.violations++;
    const over = seen(this.#viewer, '"type":"run.finished"');
    this.#mouth.send({ type: "run.started", runId });
    await this.#mouth.told({ type: "run.events", runId, events: [finished] });
    await over;
    return startedAt - began;
  }

  close(): void {
    this.#viewer.close();
  }
}

/** A new session's first run. Its worker is stopped afterwards. */
async function coldDispatch(pool: Pool, offers: Offers): Promise<Dispatch> {
  const answer = await pool.plane.call("/api/sessions", {
    method: "POST",
    body: { title: "bench", provider: "scripted" },
  });
  const { session } = (await answer.json()) as { session: { id: string } };
  const viewer = await viewerOf(pool, session.id, 0);
  const began = performance.now();
  const queued = seen(viewer, QUEUED);
  // As everywhere, the host does not know when whoever asked has its answer, and does not wait for that.
  const handedOver = async () => {
    const mouth = await accepted(await offers.next(session.id));
    await mouth.link.message("run.start");
    return { mouth, startedAt: performance.now() };
  };
  const [{ runId }, { mouth, startedAt }] = await Promise.all([enqueue(pool, session.id), handedOver()]);
  const committedAt = await queued;
  mouth.send({ type: "run.started", runId });
  await mouth.told({ type: "run.events", runId, events: [finished] });
  mouth.send({ type: "worker.status", state: "stopped" });
  await mouth.link.closed;
  viewer.close();
  return { dispatchMs: startedAt - committedAt, wholeMs: startedAt - began };
}

async function enqueue(pool: Pool, sessionId: string): Promise<{ runId: string; sessionId: string }> {
  const answer = await pool.plane.call("/api/runs/queue/enqueue", {
    method: "POST",
    body: { sessionId, prompt: "say x" },
  });
  if (answer.status !== 202) throw new Error(`enqueue: HTTP ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as { runId: string; sessionId: string };
}

async function viewerOf(pool: Pool, sessionId: string, cursor: number): Promise<WebSocket> {
  const url = `${pool.plane.url.replace(/^http/, "ws")}/api/sessions/${sessionId}/socket?cursor=${cursor}`;
  const viewer = new WebSocket(url, { headers: { authorization: `Bearer ${pool.plane.serviceToken}` } });
  const live = seen(viewer, '"type":"live"');
  await once(viewer, "open");
  await live;
  return viewer;
}

/** When the next frame with these words came. */
function seen(socket: WebSocket, words: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const closed = () => reject(new Error(`the socket closed before ${words} came`));
    const look = (data: unknown) => {
      if (!String(data).includes(words)) return;
      const at = performance.now();
      socket.off("message", look);
      socket.off("close", closed);
      resolve(at);
    };
    socket.on("message", look);
    socket.once("close", closed);
  });
}
