/**
 * How long a run that was asked for takes to reach a host, and how fast a long queue is worked off. Hosts are scripted:
 * what is measured is the control plane, from the commit of the request to the frame that hands the run over.
 */
import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { WebSocket } from "ws";
import { accepted, finished, type Mouth, type Offer, Offers, Pool } from "../faults/pool.ts";
import { judged, type Result } from "./result.ts";
import { median, middleHalf, quantile } from "./statistics.ts";

const P50_OVER_FLOOR_MS = 5;
const P99_OVER_FLOOR_MS = 30;
/** The event with which a run begins to wait. */
const QUEUED = '"type":"session.prompted"';
const WARM_UP = 10;
/** Requests that are under way together while the queue is filled. */
const ENQUEUED_AT_ONCE = 8;
/** Few enough that the queue is worked off in turns, as it is on real machines. */
const SLOTS = 8;

type Dispatch = { dispatchMs: number; wholeMs: number };

/** A run's way to a host that holds the session, and to one that has to be given it, in turns with empty requests. */
export async function measureDispatch(rounds: number): Promise<Result[]> {
  const pool = await Pool.open();
  const warm: Dispatch[] = [];
  const cold: Dispatch[] = [];
  const floor: number[] = [];
  let violations = 0;
  try {
    const offers = new Offers();
    offers.follow(await pool.host());
    const lane = await Lane.open(pool, offers);
    for (let round = -WARM_UP; round < rounds; round++) {
      const measured = [await emptyRequest(pool), await lane.dispatch(), await coldDispatch(pool, offers)] as const;
      if (round < 0) continue;
      floor.push(measured[0]);
      warm.push(measured[1]);
      cold.push(measured[2]);
    }
    violations = lane.violations;
    lane.close();
  } finally {
    await pool.dispose();
  }
  const how = `${rounds} rounds in turns: an empty request (GET /healthz) as the floor, an enqueue over HTTP; from the moment a viewer's socket has the run as queued, which is after its commit, to the frame run.start at the host's socket`;
  return [
    ...judgedDispatch("dispatch to a host that holds the session", warm, floor, violations, how),
    ...judgedDispatch(
      "dispatch to a host that is given the session",
      cold,
      floor,
      violations,
      `${how}; in between offer, acceptance, a new data link and its handshake, four ways there and back of the host's own`,
    ),
  ];
}

function judgedDispatch(name: string, of: Dispatch[], floor: number[], violations: number, how: string): Result[] {
  const values = of.map(({ dispatchMs }) => dispatchMs);
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
        how: `${how}; middle half ${middleHalf(values)}; from the request's first byte p50 ${median(of.map(({ wholeMs }) => wholeMs)).toFixed(1)} ms`,
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

  /** Asks for a run, has it begun and ended. */
  async dispatch(): Promise<Dispatch> {
    const began = performance.now();
    const queued = seen(this.#viewer, QUEUED);
    const started = seen(this.#mouth.link.socket, '"type":"run.start"');
    const { runId } = await enqueue(this.#pool, this.#sessionId);
    const [committedAt, startedAt] = await Promise.all([queued, started]);
    const { run } = await this.#mouth.link.message<{ type: string; run: { runId: string } }>("run.start");
    if (run.runId !== runId) this.violations++;
    const over = seen(this.#viewer, '"type":"run.finished"');
    this.#mouth.send({ type: "run.started", runId });
    await this.#mouth.told({ type: "run.events", runId, events: [finished] });
    await over;
    return { dispatchMs: startedAt - committedAt, wholeMs: startedAt - began };
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
  const { runId } = await enqueue(pool, session.id);
  const mouth = await accepted(await offers.next(session.id));
  await mouth.link.message("run.start");
  const startedAt = performance.now();
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

/** Runs that wait for a host, each in a session of its own, worked off by hosts that do nothing but take and finish. */
export async function measureDrain({ runs, hosts: count }: { runs: number; hosts: number }): Promise<Result> {
  const pool = await Pool.open();
  try {
    const waiting = new Set<string>();
    for (let i = 0; i < runs; i += ENQUEUED_AT_ONCE) {
      const some = Array.from({ length: Math.min(ENQUEUED_AT_ONCE, runs - i) }, () => enqueueNew(pool));
      for (const runId of await Promise.all(some)) waiting.add(runId);
    }
    const done: string[] = [];
    const offers = new Offers();
    const began = performance.now();
    await Promise.all(
      Array.from({ length: count }, async (_, index) =>
        offers.follow(await pool.host({ name: `h${index}`, slots: SLOTS })),
      ),
    );
    const serving: Promise<void>[] = [];
    while (serving.length < runs) {
      const offer = await offers.any();
      serving.push(serve(offer).then((runId) => void done.push(runId)));
    }
    await Promise.all(serving);
    const took = performance.now() - began;
    const [row] = await pool.plane.query("SELECT count(*) AS n FROM runs WHERE attempts > 1");
    const doubles = done.length - new Set(done).size + Number(row?.n ?? 0);
    const strangers = done.filter((runId) => !waiting.has(runId)).length;
    return judged(
      {
        name: `drain of ${runs} queued runs over ${count} hosts`,
        unit: "runs/s",
        value: runs / (took / 1_000),
        trials: runs,
        violations: doubles + strangers + (runs - new Set(done).size),
        how: `each in a session of its own, ${SLOTS} slots a host; every run has its offer, data link, start, end and stop; from the first host's connection to the last end. Violations: runs that were handed out twice`,
      },
      { noViolations: true },
    );
  } finally {
    await pool.dispose();
  }
}

async function enqueueNew(pool: Pool): Promise<string> {
  const body = { prompt: "say x", provider: "scripted" };
  const answer = await pool.plane.call("/api/runs/queue/enqueue", { method: "POST", body });
  if (answer.status !== 202) throw new Error(`enqueue: HTTP ${answer.status} ${await answer.text()}`);
  return ((await answer.json()) as { runId: string }).runId;
}

/** A host's whole part in one run; answers which. */
async function serve(offer: Offer): Promise<string> {
  const mouth = await accepted(offer);
  const { run } = await mouth.link.message<{ type: string; run: { runId: string } }>("run.start");
  mouth.send({ type: "run.started", runId: run.runId });
  await mouth.told({ type: "run.events", runId: run.runId, events: [finished] });
  mouth.send({ type: "worker.status", state: "stopped" });
  await mouth.link.closed;
  return run.runId;
}
