/** Someone who reads a run that counts aloud, whatever happens to the line, the control plane and the host. */
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { WebSocket } from "ws";
import type { SessionEvent } from "#protocol/events.ts";
import type { ToViewer } from "#protocol/viewer.ts";
import { within } from "../support/scripted-host.ts";

const PATIENCE_MS = 90_000;

/** A viewer that comes back with its cursor whenever it is cut, and counts what one run said. */
export class Follower {
  readonly sessionId: string;
  readonly runId: string;
  readonly said: number[] = [];
  readonly flaws: string[] = [];
  /** What the run's host or runner warned of. */
  readonly warnings: string[] = [];
  ended: string | undefined;
  lastAt = 0;
  /** The farthest that an event's own time was from this machine's when it came. */
  clockOffMs = 0;
  readonly #plane: () => { url: string; serviceToken: string };
  #cursor = 0;
  #stopped = false;
  #socket: WebSocket | undefined;
  #watchers: (() => void)[] = [];

  constructor(
    plane: () => { url: string; serviceToken: string },
    { sessionId, runId }: { sessionId: string; runId: string },
  ) {
    this.#plane = plane;
    this.sessionId = sessionId;
    this.runId = runId;
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    this.#socket?.terminate();
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    const there = new Promise<void>((resolve) => {
      const look = () => holds() && resolve();
      this.#watchers.push(look);
      look();
    });
    await within(there, () => `${what}; ${this.said.length} deltas, it ended ${this.ended}`, PATIENCE_MS);
  }

  #connect(): void {
    if (this.#stopped) return;
    const { url, serviceToken } = this.#plane();
    const socket = new WebSocket(
      `${url.replace(/^http/, "ws")}/api/sessions/${this.sessionId}/socket?cursor=${this.#cursor}`,
      { headers: { authorization: `Bearer ${serviceToken}` } },
    );
    this.#socket = socket;
    socket.on("message", (data) => this.#arrived(JSON.parse(data.toString()) as ToViewer));
    socket.on("error", () => undefined);
    socket.once("close", () => void delay(20).then(() => this.#connect()));
  }

  #arrived(frame: ToViewer): void {
    // A session that became long says all in one; this viewer begins after what it has folded.
    if (frame.type === "snapshot") this.#cursor = frame.cursor;
    if (frame.type === "events") for (const event of frame.events) this.#take(event);
    for (const look of this.#watchers) look();
  }

  #take(event: SessionEvent): void {
    const first = (event as { from?: number }).from ?? event.seq;
    if (this.#cursor > 0 && first !== this.#cursor + 1) this.flaws.push(`event ${first} follows ${this.#cursor}`);
    this.#cursor = event.seq;
    if (event.runId !== this.runId) return;
    this.lastAt = performance.now();
    this.clockOffMs = Math.max(this.clockOffMs, Math.abs(Date.now() - event.at));
    if (event.type === "message.delta") {
      for (const chunk of event.data.chunks)
        if (chunk.type === "text-delta") this.said.push(...[...chunk.delta.matchAll(/\d+/g)].map(([n]) => Number(n)));
    } else if (event.type === "run.status" && event.data.warning) {
      this.warnings.push(event.data.detail ?? "");
    } else if (event.type === "run.finished") {
      if (this.ended !== undefined) this.flaws.push("it ended twice");
      this.ended = [event.data.outcome, event.data.reason].filter(Boolean).join(" ");
    }
  }
}
