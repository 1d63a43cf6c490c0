/** A viewer whose line is cut after every event, on both ways to read; what it ends up with is what an uncut one has. */

import { performance } from "node:perf_hooks";
import { isDeepStrictEqual } from "node:util";
import { WebSocket } from "ws";
import type { RunEvent, SessionEvent } from "#protocol/events.ts";
import { applyEvent, emptyView, type SessionView } from "#protocol/session-view.ts";
import { applyToTranscript, emptyTranscript, type Transcript } from "#protocol/transcript.ts";
import type { ToViewer } from "#protocol/viewer.ts";
import type { Random } from "../fuzz/random.ts";
import type { Page } from "../support/live-session.ts";
import { within } from "../support/scripted-host.ts";
import { permission } from "../support/session-script.ts";
import type { Fault } from "./fault.ts";
import { begin, finished, flaws, leave, numbered, Pool } from "./pool.ts";

const EVENTS = 40;

export const viewerCut: Fault = {
  name: "viewer-cut",
  how: `a run of ${EVENTS} events, one per frame; a WebSocket viewer and an SSE viewer are cut after every event, and the SSE answer inside events too, and come back with their cursor while the next events arrive: view, transcript and events equal those of an uncut viewer; recovery is the slowest way back until live`,
  trials: { long: 20, short: 1 },
  note: (figures) => {
    const total = (name: string) => figures.reduce((sum, each) => sum + (each[name] ?? 0), 0);
    return `${total("cuts")} cuts tried, ${total("equal")} of ${figures.length * 2} views equal`;
  },
  async open() {
    const pool = await Pool.open();
    const host = await pool.host();
    return {
      trial: async (random) => {
        const violations: string[] = [];
        const { page, mouth, runId, sessionId } = await pool.running(host);
        const readers = { WebSocket: overWebSocket(pool, sessionId), SSE: overSse(pool, sessionId, random) };
        for (const event of speech(random, sessionId)) {
          await mouth.told({ type: "run.events", runId, events: [event] });
          // Not in step with the viewers on purpose: some events meet a reader that is away, some one that comes back.
          if (random.chance(0.7)) await readers[random.pick(["WebSocket", "SSE"] as const)].until(page.view.cursor - 2);
        }
        await mouth.told({ type: "run.events", runId, events: [finished] });
        await page.until("the end", (view) => view.runs[0]?.state === "finished");
        let equal = 0;
        for (const [name, reader] of Object.entries(readers)) {
          await reader.until(page.view.cursor);
          reader.stop();
          const wrong = compare(page, reader, runId);
          if (wrong.length === 0) equal++;
          violations.push(...wrong.map((what) => `${name}: ${what}`));
        }
        const { WebSocket: socket, SSE: sse } = readers;
        await leave({ mouth, page });
        return {
          violations,
          recoveryMs: Math.max(socket.slowestMs, sse.slowestMs),
          figures: { cuts: socket.cuts + sse.cuts, equal },
        };
      },
      dispose: () => pool.dispose(),
    };
  },
};

function speech(random: Random, sessionId: string): RunEvent[] {
  const events: RunEvent[] = [begin];
  for (let k = 1; events.length < EVENTS; k++) {
    events.push(numbered(k));
    if (random.chance(0.15))
      events.push({ type: "todo.update", data: { items: [{ id: "1", text: `step ${k}`, status: "in_progress" }] } });
    if (random.chance(0.1)) events.push(permission(`req_${sessionId.slice(4)}-${String(k).padStart(10, "0")}`));
  }
  return events;
}

function compare(page: Page, reader: Reader, runId: string): string[] {
  const count = page.events.filter((event) => JSON.stringify(event).includes("#")).length;
  return [
    ...flaws(reader.events, runId, count),
    ...(isDeepStrictEqual(reader.view, page.view) ? [] : ["the view differs"]),
    ...(isDeepStrictEqual(reader.transcript, page.transcript) ? [] : ["the transcript differs"]),
    ...(isDeepStrictEqual(reader.events, page.events) ? [] : ["the events differ"]),
  ];
}

/** Folds what it gets over all its connections. */
class Reader {
  readonly events: SessionEvent[] = [];
  view: SessionView;
  transcript: Transcript = emptyTranscript;
  cuts = 0;
  slowestMs = 0;
  stopped = false;
  /** Ends the connection that is open. */
  leave: () => void = () => undefined;
  #watchers: (() => void)[] = [];

  constructor(sessionId: string) {
    this.view = emptyView(sessionId);
  }

  get cursor(): number {
    return this.view.cursor;
  }

  take(event: SessionEvent): void {
    this.events.push(event);
    this.view = applyEvent(this.view, event);
    this.transcript = applyToTranscript(this.transcript, event);
    for (const look of this.#watchers) look();
  }

  async until(cursor: number): Promise<void> {
    const there = new Promise<void>((resolve) => {
      const look = () => this.cursor >= cursor && resolve();
      this.#watchers.push(look);
      look();
    });
    await within(there, () => `event ${cursor}; it has ${this.cursor}`);
  }

  stop(): void {
    this.stopped = true;
    this.leave();
  }

  back(began: number): void {
    if (this.cuts > 0) this.slowestMs = Math.max(this.slowestMs, performance.now() - began);
  }
}

function overWebSocket(pool: Pool, sessionId: string): Reader {
  const reader = new Reader(sessionId);
  const connect = () => {
    if (reader.stopped) return;
    const began = performance.now();
    const url = `${pool.plane.url.replace(/^http/, "ws")}/api/sessions/${sessionId}/socket?cursor=${reader.cursor}`;
    const socket = new WebSocket(url, { headers: { authorization: `Bearer ${pool.plane.serviceToken}` } });
    reader.leave = () => socket.terminate();
    let cut = false;
    socket.on("message", (data) => {
      if (cut) return;
      const frame = JSON.parse(data.toString()) as ToViewer;
      if (frame.type === "live") reader.back(began);
      if (frame.type !== "events") return;
      for (const event of frame.events) reader.take(event);
      cut = true;
      reader.cuts++;
      socket.terminate();
    });
    socket.once("close", connect);
    socket.on("error", () => undefined);
  };
  connect();
  return reader;
}

/** Each answer is cut right after an event, or somewhere inside the one that follows. */
function overSse(pool: Pool, sessionId: string, random: Random): Reader {
  const reader = new Reader(sessionId);
  const connect = async () => {
    const began = performance.now();
    const abort = new AbortController();
    reader.leave = () => abort.abort();
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (reader.cursor > 0) headers["last-event-id"] = String(reader.cursor);
    const answer = await pool.plane.call(`/api/sessions/${sessionId}/stream`, { headers, signal: abort.signal });
    reader.back(began);
    let text = "";
    const inside = random.chance(0.5) ? random.int(1, 400) : 0;
    for await (const bytes of answer.body ?? []) {
      text += Buffer.from(bytes).toString("latin1");
      const end = text.indexOf("\n\n", text.indexOf("data: "));
      if (!text.includes("data: ") || end < 0) continue;
      // What came of the next one before the cut is thrown away, as a parser does.
      const kept = text.slice(0, end + 2 + inside);
      for (const block of kept.split("\n\n").slice(0, -1)) {
        const data = /^data: (.*)$/m.exec(Buffer.from(block, "latin1").toString())?.[1];
        if (data) reader.take(JSON.parse(data) as SessionEvent);
      }
      reader.cuts++;
      break;
    }
    abort.abort();
  };
  const loop = async () => {
    while (!reader.stopped) await connect();
  };
  void loop().catch((error) => {
    // After the last event there is nothing to wait for: the plane goes away under the open answer.
    if (!reader.stopped) throw error;
  });
  return reader;
}
