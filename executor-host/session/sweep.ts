/**
 * What this host keeps of work that is over: containers without a lease, folders of workers that were stopped long
 * ago. Only what is provably ours and provably saved goes; whatever is not known stays, and is said to stay.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { eachAlone, type Finding, type ReconcilerReport } from "#protocol/reconcile.ts";
import { sessionPaths } from "../config.ts";
import type { WorkerEngine } from "../container/port.ts";
import type { HostNeeds } from "../needs.ts";
import { removeWorkspace } from "../workspace/layer.ts";

/** A workspace that nobody came back for in this time is fetched from the store when somebody does. */
export const KEPT_WARM_MS = 7 * 24 * 60 * 60_000;

export type SweepNeeds = {
  host: Pick<HostNeeds, "identity" | "records" | "paths" | "clock" | "logger" | "workspaceTurns">;
  engines: readonly WorkerEngine[];
  transaction<T>(work: () => T): T;
  /** The session's files are gone from this disk; part of the transaction that forgets them. */
  removed(workspace: { sessionId: string; epoch: number }): void;
  /** Open here, or on its way out: a session that still does things. */
  busy(sessionId: string): boolean;
};

export async function sweepHost(needs: SweepNeeds): Promise<ReconcilerReport[]> {
  const reports = await eachAlone(["workers", "containers"], {
    workers: (report) => sweepFolders(needs, report),
    containers: (report) => sweepContainers(needs, report),
  });
  for (const { reconciler, looked, findings, failures } of reports) {
    needs.host.logger.info({ reconciler, looked, findings, failures }, "reconcile completed");
  }
  return reports;
}

/** Why what is left of a session may not be removed; undefined when it is ours, idle and saved. */
function reasonToStay({ host, busy }: SweepNeeds, sessionId: string): string | undefined {
  if (host.records.lease(sessionId) || busy(sessionId)) return "in use";
  const known = host.records.workspace(sessionId);
  if (!known) return "this host knows nothing of its workspace";
  if (host.records.isPreserved(sessionId, known.epoch)) return undefined;
  if (known.dirty || known.snapshotId === undefined) return "its workspace is not saved";
  return undefined;
}

async function sweepContainers(needs: SweepNeeds, report: ReconcilerReport): Promise<void> {
  const { installationId, hostId } = needs.host.identity;
  for (const engine of needs.engines) {
    try {
      const { removed } = await engine.reap(installationId);
      report.looked += removed.length;
      for (const detail of removed)
        report.findings.push({ reconciler: "containers", what: "dead_container", mended: true, hostId, detail });
      for (const worker of await engine.find(installationId)) {
        report.looked++;
        const { sessionId } = worker;
        const stays = reasonToStay(needs, sessionId);
        if (stays === "in use") continue;
        const finding = { reconciler: "containers", what: "container_without_lease", hostId, sessionId } as const;
        if (!stays) await engine.remove(worker, 0);
        report.findings.push({ ...finding, mended: !stays, ...(stays ? { detail: stays } : {}) } satisfies Finding);
      }
    } catch (error) {
      // One engine that is away says nothing about the others.
      report.failures.push(`${engine.vmMode}: ${String(error).slice(0, 500)}`);
    }
  }
}

async function sweepFolders(needs: SweepNeeds, report: ReconcilerReport): Promise<void> {
  const { paths, clock, workspaceTurns, identity } = needs.host;
  if (!existsSync(paths.sessions)) return;
  for (const sessionId of readdirSync(paths.sessions)) {
    if (!/^ses_[0-9a-z]{20}$/.test(sessionId)) continue;
    report.looked++;
    const { workspace, sync } = sessionPaths(paths, sessionId);
    const old = () => existsSync(sync) && statSync(sync).mtimeMs < clock.now() - KEPT_WARM_MS;
    if (reasonToStay(needs, sessionId) || !existsSync(workspace) || !old()) continue;
    const removed = await workspaceTurns.take(sessionId, async () => {
      // While its turn was waited for, the session may have come back.
      if (reasonToStay(needs, sessionId)) return false;
      forgetWorkspace(needs, sessionId);
      removeWorkspace({ root: workspace, stateDir: sync });
      return true;
    });
    const finding = {
      reconciler: "workers",
      what: "workspace_long_unused",
      hostId: identity.hostId,
      sessionId,
    } as const;
    if (removed) report.findings.push({ ...finding, mended: true });
  }
}

/** What the session is told names the lease that stopped its worker; a state from before has only the one that laid the files. */
function forgetWorkspace({ host: { records }, transaction, removed }: SweepNeeds, sessionId: string): void {
  const epoch = records.stoppedUnder(sessionId) ?? records.workspace(sessionId)?.epoch;
  transaction(() => {
    records.forgetWorkspace(sessionId);
    if (epoch) removed({ sessionId, epoch });
  });
}
