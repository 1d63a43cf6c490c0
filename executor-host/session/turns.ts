/**
 * Work on one thing, one after the other, in the order it was asked for. A turn that fails is over like any other.
 *
 * A workspace and what is remembered of it bear one sync or restore at a time. Within a lease the order comes by itself;
 * an older lease of the same session may still be ending its sync when the next one wants to restore.
 */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Answers what `work` answers. `work` must not take a turn of the same key. */
  take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const mine = (this.#last.get(key) ?? Promise.resolve()).then(work);
    const over: Promise<void> = mine.then(
      () => this.#forget(key, over),
      () => this.#forget(key, over),
    );
    this.#last.set(key, over);
    return mine;
  }

  #forget(key: string, turn: Promise<void>): void {
    if (this.#last.get(key) === turn) this.#last.delete(key);
  }
}
