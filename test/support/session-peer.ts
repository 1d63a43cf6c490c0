/** The far end of a page's socket and its clock, in the test's hands: nothing happens before the test says so. */
import type { FromViewer, ToViewer } from "#protocol/viewer.ts";
import type { LinkSocket } from "../../web/session/session-link.ts";
import type { Outgoing } from "../../web/session/session-state.ts";
import { SessionStore } from "../../web/session/session-store.ts";

export class PeerSocket implements LinkSocket {
  onopen: LinkSocket["onopen"] = null;
  onmessage: LinkSocket["onmessage"] = null;
  onclose: LinkSocket["onclose"] = null;
  readonly url: string;
  readonly received: FromViewer[] = [];

  constructor(url: string) {
    this.url = url;
  }
  get cursor(): number {
    return Number(new URL(this.url, "http://portal").searchParams.get("cursor"));
  }
  get commands(): FromViewer[] {
    return this.received.filter((message) => message.type !== "ack");
  }
  send(data: string | ArrayBufferLike | Blob | ArrayBufferView): void {
    this.received.push(JSON.parse(String(data)) as FromViewer);
  }
  close(): void {
    this.onclose?.({ code: 1000 });
  }
  open(): void {
    this.onopen?.();
  }
  say(...frames: ToViewer[]): void {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) });
  }
  cut(code = 1006): void {
    this.onclose?.({ code });
  }
}

export class SessionPeer {
  readonly store: SessionStore;
  readonly sockets: PeerSocket[] = [];
  now = 1_000_000;
  kept: readonly Outgoing[];
  #waiting: { at: number; what: () => void }[] = [];

  constructor(sessionId: string, kept: readonly Outgoing[] = []) {
    this.kept = kept;
    this.store = new SessionStore(sessionId, {
      open: (url) => {
        const socket = new PeerSocket(url);
        this.sockets.push(socket);
        return socket;
      },
      now: () => this.now,
      random: () => 1,
      after: (ms, what) => {
        const entry = { at: this.now + ms, what };
        this.#waiting.push(entry);
        return () => {
          this.#waiting = this.#waiting.filter((other) => other !== entry);
        };
      },
      soon: (what) => what(),
      outbox: {
        load: () => this.kept,
        save: (outgoing) => {
          this.kept = outgoing;
        },
      },
    });
  }

  get socket(): PeerSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("the store has opened no socket");
    return socket;
  }

  /** Lets time pass; what is due by then happens in order. */
  pass(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const next = this.#waiting.filter((entry) => entry.at <= until).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#waiting = this.#waiting.filter((entry) => entry !== next);
      this.now = next.at;
      next.what();
    }
    this.now = until;
  }
}
