/** A page that reads along: it folds what it gets with the object's own functions and comes back with its cursor. */
import type { SessionEvent } from "#protocol/events.ts";
import { applyEvent, emptyView, type SessionView } from "#protocol/session-view.ts";
import { applyToTranscript, emptyTranscript, type Transcript } from "#protocol/transcript.ts";
import type { ToViewer } from "#protocol/viewer.ts";
import type { SessionNode } from "./session-node.ts";
import type { Wire } from "./wire.ts";
import type { World } from "./world.ts";

export class Page {
  readonly session: SessionNode;
  readonly #world: World;
  view: SessionView;
  transcript: Transcript = emptyTranscript;
  #wire: Wire | undefined;

  constructor(world: World, session: SessionNode) {
    this.#world = world;
    this.session = session;
    this.view = emptyView(session.sessionId);
    world.agenda.after(3_000, "a page opens", () => this.open());
  }

  get connected(): boolean {
    return this.#wire !== undefined && !this.#wire.broken;
  }

  open(): void {
    if (this.connected || !this.session.instance.session.exists) return;
    this.#wire?.leave(1001);
    const wire: Wire = this.session.dialPage(
      {
        opened: () => {},
        message: (text) => this.#arrived(JSON.parse(text) as ToViewer),
        closed: () => {
          if (this.#wire !== wire) return;
          this.#wire = undefined;
          this.#world.agenda.after(1_000, "a page comes back", () => this.open());
        },
      },
      this.view.cursor,
    );
    this.#wire = wire;
  }

  cut(): void {
    this.#wire?.cut();
  }

  #arrived(message: ToViewer): void {
    if (message.type === "snapshot") {
      this.view = message.view;
      this.transcript = message.transcript;
    } else if (message.type === "events") {
      for (const event of message.events) this.#apply(event);
      this.#wire?.send(JSON.stringify({ type: "ack", cursor: this.view.cursor }));
    }
    this.#world.ledger.read(this);
  }

  #apply(event: SessionEvent): void {
    const { cursor } = this.view;
    // A folded event may begin with what the page has, and says it again.
    if (event.seq <= cursor || (event.from ?? event.seq) > cursor + 1)
      this.#world.violation("P-21", `a page at ${this.view.cursor} got event ${event.seq} of ${event.sessionId}`);
    this.view = applyEvent(this.view, event);
    this.transcript = applyToTranscript(this.transcript, event);
  }
}
