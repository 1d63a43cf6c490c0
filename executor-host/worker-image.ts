/**
 * The image that this host's workers start from, as the daemon sees it: being got, there, or not to be had. One attempt at
 * a time; whoever asks meanwhile waits for it. An image that has gone is got again.
 */
import { type Clock, pause } from "./clock.ts";
import { type EnsuredImage, ImageUnavailable } from "./container/base-image.ts";
import { type ImageStore, WorkerStartError } from "./container/port.ts";
import type { Logger } from "./logs.ts";

export type ImageState = { ok: true; image: string } | { ok: false; reason: string; fix: string };

export type WorkerImageNeeds = {
  /** What the operator has named; may change at any time. */
  wanted(): string | undefined;
  ensure(wanted: string | undefined, signal: AbortSignal): Promise<EnsuredImage>;
  /** Does the engine have it (still)? */
  has: ImageStore["has"];
  /** An attempt has ended: what the host says of itself may be different now. */
  changed(): void;
  clock: Clock;
  logger: Logger;
};

/** Time for trying the default and making a stand-in; below what `npm start` waits for its host. */
const PATIENCE_MS = 45_000;
/** After a failure: shorter than the time between two looks at the facts, so that each look tries again. */
const RETRY_MS = 50_000;

type Attempt = { wanted: string | undefined; startedAt: number; image: Promise<string> };

export class WorkerImage {
  readonly #needs: WorkerImageNeeds;
  readonly #closed = new AbortController();
  #attempt: Attempt | undefined;
  #ready: { wanted: string | undefined; image: string } | undefined;
  #failed: { wanted: string | undefined; at: number; state: ImageState } | undefined;

  constructor(needs: WorkerImageNeeds) {
    this.#needs = needs;
  }

  /** For a worker that is to start now. @throws WorkerStartError */
  async forWorker(): Promise<string> {
    try {
      return (await this.#there()) ?? (await this.#get().image);
    } catch (error) {
      if (error instanceof ImageUnavailable) throw new WorkerStartError(error.message, error.fix);
      throw error;
    }
  }

  /**
   * For the host's facts.
   * @param wait whether an attempt that is young is worth waiting for: this host has nothing else to offer
   */
  async state({ wait }: { wait: boolean }): Promise<ImageState> {
    const { clock, wanted } = this.#needs;
    const image = await this.#there().catch(stateOf);
    if (image !== undefined) return typeof image === "string" ? { ok: true, image } : image;
    const failed = this.#failed;
    if (failed && failed.wanted === wanted() && clock.now() - failed.at < RETRY_MS) return failed.state;
    const attempt = this.#get();
    const settled = attempt.image.then((image): ImageState => ({ ok: true, image }), stateOf);
    const rest = new AbortController();
    const leftMs = wait ? Math.max(0, attempt.startedAt + PATIENCE_MS - clock.now()) : 0;
    const tired = pause(clock, leftMs, rest.signal).then(() => underWay(attempt.wanted));
    return await Promise.race([settled, tired]).finally(() => rest.abort());
  }

  /** Ends an attempt that is under way. */
  close(): void {
    this.#closed.abort(new Error("the host daemon ends"));
  }

  async #there(): Promise<string | undefined> {
    const ready = this.#ready;
    if (!ready || ready.wanted !== this.#needs.wanted()) return undefined;
    return (await this.#needs.has(ready.image)) ? ready.image : undefined;
  }

  #get(): Attempt {
    const { clock, wanted: wantedNow } = this.#needs;
    const wanted = wantedNow();
    if (this.#attempt && this.#attempt.wanted === wanted) return this.#attempt;
    const attempt: Attempt = { wanted, startedAt: clock.now(), image: this.#ensure(wanted) };
    this.#attempt = attempt;
    attempt.image
      .catch((error: unknown) => {
        this.#failed = { wanted, at: clock.now(), state: stateOf(error) };
        if (!this.#closed.signal.aborted) this.#needs.logger.error({ err: error }, "there is no image for workers");
      })
      .finally(() => {
        if (this.#attempt === attempt) this.#attempt = undefined;
        if (!this.#closed.signal.aborted) this.#needs.changed();
      });
    return attempt;
  }

  async #ensure(wanted: string | undefined): Promise<string> {
    const { image, note } = await this.#needs.ensure(wanted, this.#closed.signal);
    if (note !== undefined && this.#ready?.image !== image) this.#needs.logger.warn({ image }, note);
    this.#ready = { wanted, image };
    return image;
  }
}

function stateOf(error: unknown): ImageState {
  const reason = error instanceof Error ? error.message : String(error);
  const fix = error instanceof ImageUnavailable ? error.fix : "See the host's log.";
  return { ok: false, reason, fix };
}

function underWay(wanted: string | undefined): ImageState {
  const reason = `The image ${wanted ?? "for workers"} is being fetched.`;
  return { ok: false, reason, fix: "Wait; the host's log tells how far it is." };
}
