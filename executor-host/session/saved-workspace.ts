/**
 * The workspace of one leased session as far as the store is concerned: what is saved when, and whether saving it is
 * this host's to do at all. (prepare-workspace.ts has the other direction.)
 */
import type { Assignment, FromHostData } from "#protocol/messages.ts";
import type { SyncChoice } from "#protocol/vocabulary.ts";
import { sessionPaths } from "../config.ts";
import type { Logger } from "../logs.ts";
import type { HostNeeds } from "../needs.ts";
import type { StoreAccess } from "../workspace/port.ts";
import type { WorkspaceRecord } from "./records.ts";
import { SyncLoop } from "./sync-loop.ts";

export type SavedWorkspaceNeeds = {
  host: HostNeeds;
  assignment: Assignment;
  store: StoreAccess;
  logger: Logger;
  say(message: FromHostData): void;
  /** Much may have been written since the last one. Never rejects. */
  beforeSync(): Promise<void>;
  /** The lease is lost or the daemon closes. */
  signal: AbortSignal;
};

export class SavedWorkspace {
  readonly #needs: SavedWorkspaceNeeds;
  readonly #loop: SyncLoop;

  constructor(needs: SavedWorkspaceNeeds) {
    const { host, assignment, store, logger, say, signal } = needs;
    const { sessionId, epoch, traceId } = assignment;
    const paths = sessionPaths(host.paths, sessionId);
    this.#needs = needs;
    const input = () => {
      const lastSnapshotId = this.#record()?.snapshotId;
      const always = { sessionId, root: paths.workspace, stateDir: paths.sync, store, traceId };
      return lastSnapshotId === undefined ? always : { ...always, lastSnapshotId };
    };
    let unsaved: number | undefined;
    this.#loop = new SyncLoop({
      clock: host.clock,
      logger,
      signal,
      sync: async (aborts) => {
        unsaved = undefined;
        await needs.beforeSync();
        return await host.workspaceTurns.take(sessionId, async () => {
          aborts.throwIfAborted();
          return await host.syncWorkspace({ ...input(), signal: aborts, changedFiles: (count) => (unsaved = count) });
        });
      },
      saved: ({ snapshotId }, upToDate) => {
        // Given up while it was on its way.
        if (!this.#isOurs()) return;
        const dirty = !upToDate || host.records.runs(sessionId).length > 0;
        host.records.setWorkspace(sessionId, { snapshotId, epoch, dirty });
      },
      failed: (report) => say({ type: "sync.failed", ...report, ...(unsaved === undefined ? {} : { files: unsaved }) }),
    });
  }

  /** After a start of the daemon: what an earlier one left unsaved. */
  resume(): void {
    if (this.#isOurs() && this.#record()?.dirty) this.#loop.request();
  }

  /**
   * A worker is about to write. Only what is ours becomes unsaved work: files of an older lease that are all saved must
   * make room for a newer snapshot without leaving a copy.
   */
  touched(): void {
    if (this.#isOurs()) this.#needs.host.records.setDirty(this.#needs.assignment.sessionId);
  }

  /** Something was written that is worth saving; nobody waits for it. */
  request(): void {
    if (!this.#isOurs()) return;
    this.touched();
    this.#loop.request();
  }

  /** Resolves when everything is in the store, or when the signal ended everything: look at the signal. */
  saved(): Promise<void> {
    return this.#isOurs() ? this.#loop.saved() : Promise.resolve();
  }

  /**
   * A person's word on work that could not be saved. Discarded work stops being this lease's to save; whoever prepares the
   * workspace next sets it aside (prepare-workspace.ts).
   */
  decide(choice: SyncChoice): void {
    if (!this.#isOurs()) return;
    if (choice === "retry") return this.#loop.request();
    if (choice === "extend") return this.#loop.extend();
    const { host, assignment, logger } = this.#needs;
    logger.warn({ choice }, "a person has decided that unsaved work is given up; it will be set aside");
    host.records.setWorkspace(assignment.sessionId, { snapshotId: undefined, epoch: 0, dirty: true });
    this.#loop.giveUp();
  }

  #record(): WorkspaceRecord | undefined {
    return this.#needs.host.records.workspace(this.#needs.assignment.sessionId);
  }

  /** Set up under this lease. Anything else on this disk may be older than the store, and must not overwrite it. */
  #isOurs(): boolean {
    return this.#record()?.epoch === this.#needs.assignment.epoch;
  }
}
