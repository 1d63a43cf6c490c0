/** A host's link as PROTOCOL.md has it: dial, auth, resume, numbered messages both ways, again after every close that says so. */
import { CLOSE_CODES, type CloseName, closeByCode } from "#protocol/close-codes.ts";
import { TIMES } from "#protocol/limits.ts";
import { PROTOCOL_VERSION } from "#protocol/version.ts";
import { backOffMs } from "../../executor-host/clock.ts";
import type { LinkSide } from "./link-side.ts";
import type { Random } from "./random.ts";
import type { Wire, WireClient } from "./wire.ts";

export type DialNeeds = {
  side: LinkSide;
  token: string;
  epoch?: number;
  random: Random;
  after(delayMs: number, label: string, run: () => void): () => void;
  connect(client: WireClient): Wire;
  take(message: unknown): void;
  live?(): void;
  /** The link has ended and will not come back by itself. */
  ended(name: CloseName | "unknown"): void;
  /** The object answered that it did not understand: never, in a world of one version. */
  misunderstood(message: string): void;
};

type Frame = { type?: string; n?: number; ack?: number; message?: unknown; received?: number };

export class Dial {
  readonly #needs: DialNeeds;
  #wire: Wire | undefined;
  #state: "closed" | "greeting" | "resuming" | "live" = "closed";
  /** Counts connections: what is heard of an earlier one is nobody's concern. */
  #attempt = 0;
  #failures = 0;
  #written = 0;
  #ackOwed = false;

  constructor(needs: DialNeeds) {
    this.#needs = needs;
    this.#dial();
  }

  get wire(): Wire | undefined {
    return this.#wire;
  }

  /** Stored, then sent when the link is live. */
  say(message: unknown): void {
    this.#needs.side.append(message);
    this.#pump();
  }

  get drained(): boolean {
    return this.#needs.side.out.length === 0;
  }

  /** Leaves the present connection and dials again. */
  redial(): void {
    if (this.#state === "closed" && !this.#wire) return;
    this.#letGo(1006);
    this.#retry();
  }

  close(code: number = CLOSE_CODES.normal.code): void {
    this.#letGo(code);
  }

  #dial(): void {
    const attempt = ++this.#attempt;
    const current = (work: () => void) => {
      if (attempt === this.#attempt) work();
    };
    this.#needs.after(TIMES.authDeadlineMs, "handshake takes too long", () =>
      current(() => {
        if (this.#state !== "live") this.redial();
      }),
    );
    this.#state = "greeting";
    this.#wire = this.#needs.connect({
      opened: () => current(() => this.#greet()),
      message: (text) => current(() => this.#arrived(JSON.parse(text) as Frame)),
      closed: (code) => current(() => this.#closed(code)),
    });
  }

  #greet(): void {
    const { token, epoch } = this.#needs;
    this.#write({ type: "auth", token, protocol: PROTOCOL_VERSION, ...(epoch === undefined ? {} : { epoch }) });
  }

  #arrived(frame: Frame): void {
    const { side, take, misunderstood } = this.#needs;
    if (frame.type === "welcome") {
      this.#state = "resuming";
      return this.#write({ type: "resume", received: side.taken });
    }
    if (frame.type === "resumed") return this.#resumed(frame.received ?? 0);
    if (frame.type === "error") return misunderstood(JSON.stringify(frame));
    if (!side.acknowledge(frame.ack ?? 0)) return this.#refuse("protocol_violation");
    if (frame.n === undefined) return;
    const verdict = side.arriving(frame.n);
    if (verdict === "gap") return this.#refuse("gap");
    if (verdict === "take") {
      side.taken = frame.n;
      take(frame.message);
    }
    this.#oweAck();
  }

  #resumed(received: number): void {
    const { side, live } = this.#needs;
    if (received > side.sent) side.skipTo(received);
    side.acknowledge(received);
    this.#written = received;
    this.#state = "live";
    const attempt = this.#attempt;
    this.#needs.after(5_000, "is steady", () => {
      if (attempt === this.#attempt) this.#failures = 0;
    });
    live?.();
    this.#pump();
  }

  #oweAck(): void {
    if (this.#ackOwed) return;
    this.#ackOwed = true;
    const attempt = this.#attempt;
    this.#needs.after(50, "ack is due", () => {
      this.#ackOwed = false;
      if (attempt === this.#attempt && this.#state === "live") this.#write({ ack: this.#needs.side.taken });
    });
  }

  #pump(): void {
    if (this.#state !== "live") return;
    const { side } = this.#needs;
    for (const { n, body } of side.out.filter((row) => row.n > this.#written)) {
      this.#written = n;
      this.#wire?.send(`{"n":${n},"ack":${side.taken},"message":${body}}`);
    }
  }

  #write(frame: unknown): void {
    this.#wire?.send(JSON.stringify(frame));
  }

  #refuse(name: CloseName): void {
    this.#letGo(CLOSE_CODES[name].code);
    this.#retry();
  }

  #closed(code: number): void {
    const { name, retry } = closeByCode(code);
    this.#letGo(code);
    if (retry) this.#retry();
    else this.#needs.ended(name);
  }

  #letGo(code: number): void {
    this.#attempt++;
    this.#state = "closed";
    this.#wire?.leave(code);
    this.#wire = undefined;
  }

  #retry(): void {
    const attempt = this.#attempt;
    const delayMs = backOffMs({ baseMs: 250, maxMs: 15_000 }, this.#failures++, this.#needs.random.next());
    this.#needs.after(delayMs, "dials again", () => {
      if (attempt === this.#attempt) this.#dial();
    });
  }
}
