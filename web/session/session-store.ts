/**
 * One session of one page: the link feeds the fold, the fold feeds React. Commands are kept until the session has
 * answered them and are said again, with the same id, whenever the link is live anew.
 */
import type { HumanLoopReply } from "#protocol/events.ts";
import type { PromptInput, ToViewer } from "#protocol/viewer.ts";
import { newCommandId } from "../ids.ts";
import { type LinkNeeds, type LinkState, SessionLink } from "./session-link.ts";
import {
  type Command,
  discard,
  initialState,
  issue,
  type Outgoing,
  receive,
  retry,
  type SessionState,
} from "./session-state.ts";

export type SessionSnapshot = SessionState & { link: LinkState };

export type StoreNeeds = Pick<LinkNeeds, "open" | "now" | "after" | "random"> & {
  /** Calls `what` soon, once for many calls in between: a burst of frames is one rendering. */
  soon(what: () => void): void;
  /** Prompts that were typed and not yet answered, kept over a reload. */
  outbox: { load(): readonly Outgoing[]; save(outgoing: readonly Outgoing[]): void };
};

const ACK_EVERY_EVENTS = 200;
const ACK_AFTER_MS = 1_000;

export class SessionStore {
  readonly sessionId: string;
  readonly #needs: StoreNeeds;
  readonly #link: SessionLink;
  readonly #listeners = new Set<() => void>();
  #state: SessionState;
  #published: SessionSnapshot;
  #publishing = false;
  #live = false;
  #acknowledged = 0;
  #cancelAck: (() => void) | undefined;

  constructor(sessionId: string, needs: StoreNeeds) {
    this.sessionId = sessionId;
    this.#needs = needs;
    this.#state = initialState(sessionId, needs.outbox.load());
    this.#link = new SessionLink({
      open: needs.open,
      now: needs.now,
      after: needs.after,
      random: needs.random,
      url: () => `/api/sessions/${encodeURIComponent(sessionId)}/socket?cursor=${this.#state.view.cursor}`,
      onFrame: (frame) => this.#onFrame(frame),
      onState: (state) => this.#onLink(state),
    });
    this.#published = { ...this.#state, link: this.#link.state };
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
  readonly getSnapshot = (): SessionSnapshot => this.#published;

  start(): void {
    this.#link.start();
  }
  stop(): void {
    this.#link.stop();
    this.#cancelAck?.();
    this.#cancelAck = undefined;
  }
  readonly retryNow = (): void => this.#link.retryNow();
  reconnect(): void {
    this.#link.reconnect();
  }

  prompt(prompt: PromptInput, id: string = newCommandId()): string {
    return this.#issue({ type: "prompt", id, prompt });
  }
  /** Names the run: whoever presses Stop late must not stop the next one. */
  stopRun(runId: string, { clearQueue = false } = {}): string {
    return this.#issue({ type: "stop", id: newCommandId(), runId, clearQueue });
  }
  reply(reply: HumanLoopReply): string {
    return this.#issue({ type: "reply", id: newCommandId(), reply });
  }
  rename(title: string): string {
    return this.#issue({ type: "rename", id: newCommandId(), title });
  }
  /** Says a refused command once more. */
  retry(id: string): void {
    this.#change(retry(this.#state, id));
    const item = this.#state.outgoing.find((known) => known.command.id === id);
    if (item) this.#say(item.command);
  }
  discard(id: string): void {
    this.#change(discard(this.#state, id));
  }

  #issue(command: Command): string {
    this.#change(issue(this.#state, command, this.#needs.now()));
    this.#say(command);
    return command.id;
  }

  /** Before the link is live the command waits in `outgoing`: the tail may show that it has been carried out. */
  #say(command: Command): void {
    if (this.#live) this.#link.send(command);
  }

  #onFrame(frame: ToViewer): void {
    this.#change(receive(this.#state, frame));
    if (frame.type === "live") {
      this.#live = true;
      for (const item of this.#state.outgoing) if (item.state === "sending") this.#link.send(item.command);
    }
    if (frame.type === "snapshot" || frame.type === "events") this.#acknowledge();
  }

  #onLink(state: LinkState): void {
    if (state.phase !== "open") {
      this.#live = false;
      this.#acknowledged = this.#state.view.cursor;
    }
    this.#publish();
  }

  #acknowledge(): void {
    if (this.#state.view.cursor - this.#acknowledged >= ACK_EVERY_EVENTS) return this.#sayAck();
    this.#cancelAck ??= this.#needs.after(ACK_AFTER_MS, () => this.#sayAck());
  }

  #sayAck(): void {
    this.#cancelAck?.();
    this.#cancelAck = undefined;
    const cursor = this.#state.view.cursor;
    if (cursor !== this.#acknowledged && this.#link.send({ type: "ack", cursor })) this.#acknowledged = cursor;
  }

  #change(next: SessionState): void {
    if (next === this.#state) return;
    if (next.outgoing !== this.#state.outgoing) this.#needs.outbox.save(next.outgoing);
    this.#state = next;
    this.#publish();
  }

  #publish(): void {
    if (this.#publishing) return;
    this.#publishing = true;
    this.#needs.soon(() => {
      this.#publishing = false;
      this.#published = { ...this.#state, link: this.#link.state };
      for (const listener of this.#listeners) listener();
    });
  }
}
