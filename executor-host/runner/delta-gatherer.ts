/**
 * Gathers chunks into events: the first chunk after a quiet time goes out at once, what follows within the window goes
 * out together. People see the first word immediately and a fast model costs at most 1000 / windowMs events a second.
 *
 *   chunk ──► out            (quiet → window opens; the opening of a part waits for its first content)
 *   chunk, chunk, chunk      (window open: gathered)
 *   window ends ──► out      (something gathered: a new window; nothing: quiet again)
 */
import type { UIMessageChunk } from "ai";
import { boundChunk, jsonBytes } from "./bounds.ts";
import type { Clock } from "./clock.ts";

export const WINDOW_MS = 25;
/** A batch that reaches this size does not wait for its window. */
export const BATCH_BYTES = 64 * 1024;

export class DeltaGatherer {
  readonly #clock: Clock;
  readonly #out: (chunks: UIMessageChunk[]) => void;
  readonly #windowMs: number;
  #gathered: UIMessageChunk[] = [];
  #gatheredBytes = 0;
  #closeWindow: (() => void) | undefined;
  /** Only the opening of a part is gathered: what it opens goes out with it at once. */
  #onlyOpened = false;

  constructor(clock: Clock, out: (chunks: UIMessageChunk[]) => void, windowMs: number = WINDOW_MS) {
    this.#clock = clock;
    this.#out = out;
    this.#windowMs = windowMs;
  }

  push(chunk: UIMessageChunk): void {
    for (const piece of boundChunk(chunk)) {
      const bytes = jsonBytes(piece);
      if (this.#gatheredBytes > 0 && this.#gatheredBytes + bytes > BATCH_BYTES) this.#send();
      this.#gatheredBytes += bytes;
      this.#add(piece);
    }
    const opens = chunk.type.endsWith("-start");
    if (this.#closeWindow === undefined) {
      if (opens) this.#openWindow();
      else this.#sendAndOpenWindow();
      this.#onlyOpened = opens;
    } else if (this.#onlyOpened && !opens) {
      this.#closeWindow();
      this.#sendAndOpenWindow();
    }
  }

  /** Sends what is gathered. Called before any other kind of event, so that the order of what happened is kept. */
  flush(): void {
    this.#closeWindow?.();
    this.#closeWindow = undefined;
    this.#send();
  }

  #sendAndOpenWindow(): void {
    this.#send();
    this.#openWindow();
  }

  #openWindow(): void {
    this.#onlyOpened = false;
    this.#closeWindow = this.#clock.after(this.#windowMs, () => {
      this.#closeWindow = undefined;
      if (this.#gathered.length > 0) this.#sendAndOpenWindow();
    });
  }

  #send(): void {
    if (this.#gathered.length === 0) return;
    const chunks = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#out(chunks);
  }

  /** Neighbouring deltas of one part become one chunk: the reader's fold is the same and the wire carries less. */
  #add(chunk: UIMessageChunk): void {
    const last = this.#gathered.at(-1);
    const joined = last && join(last, chunk);
    if (joined) this.#gathered[this.#gathered.length - 1] = joined;
    else this.#gathered.push(chunk);
  }
}

function join(a: UIMessageChunk, b: UIMessageChunk): UIMessageChunk | undefined {
  if (a.type === "text-delta" && b.type === "text-delta" && a.id === b.id) return { ...a, delta: a.delta + b.delta };
  if (a.type === "reasoning-delta" && b.type === "reasoning-delta" && a.id === b.id)
    return { ...a, delta: a.delta + b.delta };
  if (a.type === "tool-input-delta" && b.type === "tool-input-delta" && a.toolCallId === b.toolCallId)
    return { ...a, inputTextDelta: a.inputTextDelta + b.inputTextDelta };
  return undefined;
}
