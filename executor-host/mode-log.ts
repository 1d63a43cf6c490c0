/** Tells the log how the host's modes are, once per change: engines are asked every minute, and at every connection. */
import type { VmMode } from "#protocol/vocabulary.ts";
import type { ModeState } from "./facts.ts";
import type { Logger } from "./logs.ts";

export class ModeLog {
  readonly #logger: Logger;
  readonly #last = new Map<VmMode, string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  heard(modes: readonly ModeState[]): void {
    for (const mode of modes) {
      const { vmMode } = mode;
      const state = mode.ok ? "" : mode.reason;
      if (this.#last.get(vmMode) === state) continue;
      this.#last.set(vmMode, state);
      if (mode.ok) this.#logger.info({ vmMode, version: mode.version }, "this mode is available");
      else this.#logger.warn({ vmMode, reason: mode.reason, fix: mode.fix }, "this mode is not available");
    }
  }
}
