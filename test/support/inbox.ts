/** What came, in order, and a way to wait for what has to come. Reaching the patience is a failure, never a way to pass. */
const PATIENCE_MS = 15_000;

export class Inbox<T> {
  /** Everything that ever came. */
  readonly all: T[] = [];
  #unread: T[] = [];
  #waiting: { fits: (item: T) => boolean; resolve: (item: T) => void }[] = [];

  put(item: T): void {
    this.all.push(item);
    const index = this.#waiting.findIndex(({ fits }) => fits(item));
    if (index < 0) this.#unread.push(item);
    else this.#waiting.splice(index, 1)[0]?.resolve(item);
  }

  /** Takes the first unread item that fits, waiting for it if it is not there yet. */
  async next<S extends T>(fits: (item: T) => item is S, patienceMs?: number): Promise<S>;
  async next(fits?: (item: T) => boolean, patienceMs?: number): Promise<T>;
  async next(fits: (item: T) => boolean = () => true, patienceMs = PATIENCE_MS): Promise<T> {
    const index = this.#unread.findIndex(fits);
    if (index >= 0) return this.#unread.splice(index, 1)[0] as T;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`nothing came that fits; the last were ${JSON.stringify(this.all.slice(-6))}`)),
        patienceMs,
      );
    });
    const coming = new Promise<T>((resolve) => this.#waiting.push({ fits, resolve }));
    return await Promise.race([coming, late]).finally(() => clearTimeout(timer));
  }
}
