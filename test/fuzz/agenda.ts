/** Virtual time: what is going to happen, by its moment, then by the order in which it was planned. */
type Entry = { at: number; order: number; label: string; run: () => void; cancelled: boolean };

export class Agenda {
  now: number;
  #order = 0;
  /** A binary heap. */
  readonly #heap: Entry[] = [];

  constructor(now: number) {
    this.now = now;
  }

  after(delayMs: number, label: string, run: () => void): () => void {
    const entry = {
      at: this.now + Math.max(0, Math.round(delayMs)),
      order: this.#order++,
      label,
      run,
      cancelled: false,
    };
    this.#heap.push(entry);
    let index = this.#heap.length - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfLater(parent, index)) break;
      index = parent;
    }
    return () => {
      entry.cancelled = true;
    };
  }

  /** When the next thing happens; undefined when nothing is planned. */
  nextAt(): number | undefined {
    while (this.#heap[0]?.cancelled) this.#pop();
    return this.#heap[0]?.at;
  }

  /** Takes the next thing out and moves the clock to it; it is for the caller to run it. */
  take(): { label: string; run: () => void } | undefined {
    if (this.nextAt() === undefined) return undefined;
    const entry = this.#pop();
    if (entry) this.now = Math.max(this.now, entry.at);
    return entry;
  }

  #pop(): Entry | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (!first || !last || first === last) return first;
    this.#heap[0] = last;
    for (let index = 0; ; ) {
      const [left, right] = [2 * index + 1, 2 * index + 2];
      const child = right < this.#heap.length && later(this.#heap[left], this.#heap[right]) ? right : left;
      if (child >= this.#heap.length || !this.#swapIfLater(index, child)) return first;
      index = child;
    }
  }

  #swapIfLater(parent: number, child: number): boolean {
    const [above, below] = [this.#heap[parent], this.#heap[child]];
    if (!above || !below || !later(above, below)) return false;
    this.#heap[parent] = below;
    this.#heap[child] = above;
    return true;
  }
}

function later(a: Entry | undefined, b: Entry | undefined): boolean {
  if (!a || !b) return false;
  return a.at > b.at || (a.at === b.at && a.order > b.order);
}
