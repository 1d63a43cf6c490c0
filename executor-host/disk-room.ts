/**
 * Whether there is room on the disk that this host's state lies on. Without room nothing new begins and runs are held
 * back, so that what is left stays for what has to be written; with room again everything goes on by itself.
 */
import { statfs } from "node:fs/promises";
import type { Clock } from "./clock.ts";
import type { Logger } from "./logs.ts";

const MiB = 1024 * 1024;
const LOOK_EVERY_MS = 3_000;
/** Full below the first, room again above the second: a disk at the edge is not told of again and again. */
const FULL_BYTES = 16 * MiB;
const ROOM_BYTES = 32 * MiB;

export type DiskRoomNeeds = {
  dir: string;
  clock: Clock;
  logger: Logger;
  freeBytes?: ((dir: string) => Promise<number>) | undefined;
};

/** Why there is no room, and what helps. */
export type Obstacle = { reason: string; fix: string };

export class DiskRoom {
  readonly #needs: DiskRoomNeeds;
  #freeBytes = Number.POSITIVE_INFINITY;
  #full = false;
  #closed = false;
  #cancelLook: (() => void) | undefined;
  readonly #listeners = new Set<() => void>();

  constructor(needs: DiskRoomNeeds) {
    this.#needs = needs;
  }

  /** In words, and what helps, while the disk is full. */
  get obstacle(): Obstacle | undefined {
    if (!this.#full) return undefined;
    const reason = `The disk of this host is full: ${Math.floor(this.#freeBytes / MiB)} MiB are left.`;
    return { reason, fix: `Make ${ROOM_BYTES / MiB} MiB of room for ${this.#needs.dir}.` };
  }

  /** Looks now, and every LOOK_EVERY_MS from then on. */
  async look(): Promise<void> {
    const { dir, clock, logger } = this.#needs;
    this.#cancelLook?.();
    try {
      this.#found(await (this.#needs.freeBytes ?? freeBytes)(dir));
    } catch (error) {
      logger.error({ err: error, dir }, "the room on the disk could not be asked for");
    }
    if (!this.#closed) this.#cancelLook = clock.after(LOOK_EVERY_MS, () => void this.look());
  }

  /** Calls back whenever it has become full or has room again. @returns ends that */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Resolves when there is room, or when the signal fires: look at the signal. */
  room(signal: AbortSignal): Promise<void> {
    if (!this.#full || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        if (this.#full && !signal.aborted) return;
        forget();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const forget = this.watch(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  close(): void {
    this.#closed = true;
    this.#cancelLook?.();
  }

  #found(bytes: number): void {
    this.#freeBytes = bytes;
    const full = bytes < (this.#full ? ROOM_BYTES : FULL_BYTES);
    if (full === this.#full || this.#closed) return;
    this.#full = full;
    const { logger, dir } = this.#needs;
    if (full) logger.error({ dir, freeBytes: bytes }, "the disk is full: no new work, and runs are held back");
    else logger.info({ dir, freeBytes: bytes }, "the disk has room again");
    for (const listener of [...this.#listeners]) listener();
  }
}

async function freeBytes(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize;
}
