/** A host's side of a numbered link, on its disk: what was said and not acknowledged, and how far the peer was heard. */
import { plausibleAck, receive } from "#protocol/link.ts";

export class LinkSide {
  sent = 0;
  taken = 0;
  out: { n: number; body: string }[] = [];

  append(message: unknown): void {
    this.out.push({ n: ++this.sent, body: JSON.stringify(message) });
  }

  acknowledge(ack: number): boolean {
    if (!plausibleAck(this.sent, ack)) return false;
    this.out = this.out.filter(({ n }) => n > ack);
    return true;
  }

  arriving(n: number): "take" | "duplicate" | "gap" {
    return receive(this.taken, n);
  }

  /** The peer has more than this disk remembers sending: numbering goes on above it. */
  skipTo(received: number): void {
    this.sent = received;
    this.out = this.out.map(({ body }) => ({ n: ++this.sent, body }));
  }
}
