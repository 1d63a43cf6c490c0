/**
 * Work that this host had not saved when it lost a lease. It is handed in beside the session's own snapshots, as
 * soon as the control plane can be reached, and never overwrites anything:
 *
 *   lease lost, files unsaved ─► pending ─► handed in ─► preserved: the files may go like saved ones
 *
 * The files lie where the worker left them, or in `kept/epoch-<n>-<time>` when a newer lease needed the place. In place they
 * are touched only while no lease of the session is here; a session that comes back is not kept waiting.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { sessionPaths } from "../config.ts";
import type { HostNeeds } from "../needs.ts";
import { type Place, removeWorkspace } from "../workspace/layer.ts";
import { StoreError } from "../workspace/port.ts";
import type { LostWork } from "./records.ts";
import { resolveUrl } from "./resolve-url.ts";

const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;
/** The session is deleted: nobody is left who could want it. The files stay. */
const NOBODY_WANTS_IT = new Set(["gone", "not_found"]);

type Needs = Pick<
  HostNeeds,
  "access" | "clock" | "handInWorkspace" | "identity" | "logger" | "paths" | "records" | "workspaceTurns"
>;

export class KeptWork {
  readonly #host: Needs;
  readonly #busy: (sessionId: string) => boolean;
  readonly #end = new AbortController();
  #inPlace: { sessionId: string; stop: AbortController } | undefined;
  #pass: Promise<void> | undefined;
  #again = false;
  #failures = 0;
  #cancelTimer: () => void = () => {};

  /** @param busy the session is open here, or on its way out */
  constructor(host: Needs, busy: (sessionId: string) => boolean) {
    this.#host = host;
    this.#busy = busy;
  }

  /** Something may have been lost, or the control plane may be there again. */
  look(): void {
    if (this.#end.signal.aborted) return;
    this.#cancelTimer();
    this.#again = true;
    this.#pass ??= this.#run().finally(() => {
      this.#pass = undefined;
      // Asked for between the last look and the end of the pass.
      if (this.#again) this.look();
    });
  }

  /** The session is back: its files are its own again. */
  giveWay(sessionId: string): void {
    if (this.#inPlace?.sessionId === sessionId) this.#inPlace.stop.abort(new Error("the session is back"));
  }

  async close(): Promise<void> {
    this.#end.abort(new Error("the host daemon ends"));
    this.#cancelTimer();
    await this.#pass;
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#end.signal.aborted) {
      this.#again = false;
      let left = 0;
      for (const lost of this.#host.records.lostWork()) if (!(await this.#settle(lost))) left++;
      if (left === 0 || this.#end.signal.aborted) {
        this.#failures = 0;
        continue;
      }
      const delayMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.#failures++);
      this.#cancelTimer = this.#host.clock.after(delayMs, () => this.look());
    }
  }

  /** False when it has to be tried again. */
  async #settle(lost: LostWork): Promise<boolean> {
    const { records, logger, workspaceTurns } = this.#host;
    const log = logger.child({ component: "kept-work", sessionId: lost.sessionId, epoch: lost.epoch });
    try {
      const aside = this.#aside(lost);
      if (aside) {
        await this.#handIn(lost, aside, this.#end.signal);
        removeWorkspace(aside);
        records.forgetLost(lost);
        log.info("work that was set aside is in the store, beside the session's own");
        return true;
      }
      if (records.workspace(lost.sessionId)?.epoch !== lost.epoch) {
        // The session came back to these very files and has gone on from them.
        records.forgetLost(lost);
        return true;
      }
      if (this.#busy(lost.sessionId)) return false;
      const stop = new AbortController();
      this.#inPlace = { sessionId: lost.sessionId, stop };
      const signal = AbortSignal.any([this.#end.signal, stop.signal]);
      await workspaceTurns.take(lost.sessionId, async () => {
        signal.throwIfAborted();
        const { workspace: root, sync: stateDir } = sessionPaths(this.#host.paths, lost.sessionId);
        await this.#handIn(lost, { root, stateDir }, signal);
        records.markPreserved(lost);
      });
      log.info("unsaved work of a lost lease is in the store, beside the session's own");
      return true;
    } catch (error) {
      if (error instanceof StoreError && NOBODY_WANTS_IT.has(error.reason)) {
        log.warn({ err: error }, "unsaved work of a session that is no more stays on this disk");
        records.forgetLost(lost);
        return true;
      }
      log.warn({ err: error }, "unsaved work of a lost lease could not be handed in yet");
      return false;
    } finally {
      this.#inPlace = undefined;
    }
  }

  async #handIn({ sessionId, epoch, storeUrl, traceId }: LostWork, place: Place, signal: AbortSignal): Promise<void> {
    const { access, identity, handInWorkspace } = this.#host;
    await access.token(false);
    const url = resolveUrl(identity.controlUrl, storeUrl, "http");
    const store = { url, token: () => access.current(), epoch };
    try {
      await handInWorkspace({ sessionId, ...place, store, signal, traceId });
    } catch (error) {
      // The answer to an earlier try was lost.
      if (!(error instanceof StoreError) || error.reason !== "already_kept") throw error;
    }
  }

  #aside({ sessionId, epoch }: LostWork): Place | undefined {
    const { kept } = sessionPaths(this.#host.paths, sessionId);
    if (!existsSync(kept)) return undefined;
    const name = readdirSync(kept).find((each) => each.startsWith(`epoch-${epoch}-`) && !each.includes(".", 1));
    if (name === undefined) return undefined;
    const root = join(kept, name);
    return { root, stateDir: `${root}.sync` };
  }
}
