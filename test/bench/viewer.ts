/**
 * Someone who reads along, as cheap as it can be: it does not parse what it gets, it only looks for the marks of the
 * events and notes when each came and whether it was the next. It acknowledges as often as the portal does.
 */
import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { WebSocket } from "ws";

export const ACKNOWLEDGE_EVERY_EVENTS = 200;
/** Longer than anything measured here takes; reaching it is a failure. */
const PATIENCE_MS = 30_000;
const MARK_CHARS = 8;
const LIVE = '"type":"live"';

/** The mark of event number `k`, to be put into its text. */
export const mark = (k: number): string => `#${String(k).padStart(MARK_CHARS, "0")}#`;

export class Viewer {
  /** Called for every event, in the order of arrival. */
  onEvent: (k: number, at: number) => void = () => undefined;
  /** Events that were lost, repeated or out of order. */
  violations = 0;
  /** The mark of the last event that came. */
  last: number;
  readonly #socket: WebSocket;
  readonly #acknowledges: boolean;
  #sinceAcknowledged = 0;
  #liveAt: number | undefined;
  #waiting: { done: () => boolean; resolve: () => void }[] = [];

  private constructor(socket: WebSocket, last: number, acknowledges: boolean) {
    this.#socket = socket;
    this.last = last;
    this.#acknowledges = acknowledges;
    socket.on("message", (data) => this.#arrived(String(data), performance.now()));
  }

  /** Connects. `last` is the mark before the first that will come. */
  static async open(
    url: string,
    { last, headers = {}, acknowledges }: { last: number; headers?: Record<string, string>; acknowledges: boolean },
  ): Promise<Viewer> {
    const socket = new WebSocket(url, { headers });
    const viewer = new Viewer(socket, last, acknowledges);
    await once(socket, "open");
    socket.on("error", () => undefined);
    return viewer;
  }

  /** When the tail had come and it went live. */
  async live(): Promise<number> {
    await this.#until("going live", () => this.#liveAt !== undefined);
    return this.#liveAt as number;
  }

  async has(k: number): Promise<void> {
    await this.#until(`event ${k}`, () => this.last >= k);
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }

  #arrived(text: string, at: number): void {
    let came = 0;
    // Nothing else in these events has a "#".
    for (let i = text.indexOf("#"); i >= 0; i = text.indexOf("#", i + MARK_CHARS + 2)) {
      const k = Number(text.slice(i + 1, i + 1 + MARK_CHARS));
      if (k !== this.last + 1) this.violations++;
      this.last = Math.max(this.last, k);
      this.onEvent(k, at);
      came++;
    }
    if (came === 0 && text.includes(LIVE)) this.#liveAt = at;
    this.#sinceAcknowledged += came;
    if (this.#acknowledges && this.#sinceAcknowledged >= ACKNOWLEDGE_EVERY_EVENTS) this.#acknowledge(text);
    if (this.#waiting.length === 0) return;
    this.#waiting = this.#waiting.filter(({ done, resolve }) => {
      if (!done()) return true;
      resolve();
      return false;
    });
  }

  #acknowledge(text: string): void {
    const cursor = Number.parseInt(text.slice(text.lastIndexOf('"seq":') + 6), 10);
    this.#socket.send(JSON.stringify({ type: "ack", cursor }));
    this.#sinceAcknowledged = 0;
  }

  async #until(what: string, done: () => boolean): Promise<void> {
    if (done()) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`waited ${PATIENCE_MS} ms for ${what}`)), PATIENCE_MS);
    });
    const coming = new Promise<void>((resolve) => this.#waiting.push({ done, resolve }));
    await Promise.race([coming, late]).finally(() => clearTimeout(timer));
  }
}
