/**
 * Makes the workspace on this disk what the run expects, before a worker starts. The rule is pure:
 *
 *   set up under this very lease        keep     the disk is the truth, the store follows it
 *   equal to, or grown from, the snapshot   keep
 *   anything else                       restore  another host has moved the session on
 *
 * Files that were never saved are not overwritten: they are moved to `kept/` first.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../logs.ts";
import { moveWorkspace } from "../workspace/layer.ts";
import { type LayersInput, layRuntime } from "../workspace/runtime-layers.ts";
import { RunFailed } from "./failure.ts";
import type { WorkspaceRecord } from "./records.ts";

export type WorkspacePlan = "keep" | "restore" | "set_aside_and_restore";

export function planWorkspace(
  known: WorkspaceRecord | undefined,
  wanted: { snapshotId: string | undefined; epoch: number },
): WorkspacePlan {
  if (known?.epoch === wanted.epoch) return "keep";
  if (wanted.snapshotId === undefined || known?.snapshotId === wanted.snapshotId) return "keep";
  return known?.dirty ? "set_aside_and_restore" : "restore";
}

/**
 * Carries out what a run's manifest says, on the real disk, and logs each phase.
 * @throws RunFailed `workspace_failed` with the reason and what is missing; then the run must not start
 */
export function layForRun({ logger, ...input }: Omit<LayersInput, "phase"> & { logger: Logger }): void {
  const laid = layRuntime({
    ...input,
    phase: (phase, detail) => logger.info({ phase, ...detail }, "a phase of the workspace has ended"),
  });
  if (laid.ok) return;
  logger.warn(
    { phase: "validate", reason: laid.reason, missing: laid.missing },
    "the workspace is not fit for the run",
  );
  throw new RunFailed("workspace_failed", `${laid.reason}: ${laid.message}`);
}

/** Moves the workspace and what the engine remembers of it out of the way. Answers where it lies now. */
export async function setAside(
  dirs: { workspace: string; sync: string; kept: string },
  epoch: number,
): Promise<string> {
  await mkdir(dirs.kept, { recursive: true, mode: 0o700 });
  const target = join(dirs.kept, `epoch-${epoch}-${Date.now()}`);
  moveWorkspace({ root: dirs.workspace, stateDir: dirs.sync }, { root: target, stateDir: `${target}.sync` });
  return target;
}
