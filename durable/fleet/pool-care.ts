/** What operators and sweeps ask of a pool beside its daily work. The pool's object inherits it; here is what it needs. */
import { DurableObject } from "cloudflare:workers";
import type { DeadLetter, FleetQueue, Result } from "#protocol/objects.ts";
import type { PoolSettingsPatch, VersionedSettings } from "#protocol/pool-settings.ts";
import type { HostSweep, PoolReconcile, PoolReconciled, PoolStanding } from "#protocol/reconcile.ts";
import type { ObjectsEnv } from "../shell/env.ts";
import type { Care } from "./care.ts";
import { queueReport } from "./queue-report.ts";
import { poolStanding, reconcilePool } from "./reconcile.ts";

export abstract class PoolCare extends DurableObject<ObjectsEnv> {
  protected abstract readonly care: Care;

  async configureHosts(config: Record<string, unknown>): Promise<Result<object>> {
    this.care.sockets.broadcast({ type: "config_update", config });
    return { ok: true };
  }

  async queue(): Promise<FleetQueue> {
    return queueReport(this.care.store, Date.now());
  }

  async deadLetter(letter: DeadLetter): Promise<Result<object>> {
    this.care.store.deadLetters.add(letter);
    return { ok: true };
  }

  async redriven(runId: string, as: string): Promise<Result<object>> {
    this.care.store.deadLetters.redriven(runId, as, Date.now());
    return { ok: true };
  }

  async standing(sessionId: string): Promise<PoolStanding> {
    return poolStanding(this.care, sessionId);
  }

  async reconcile(input: PoolReconcile): Promise<PoolReconciled> {
    const { sockets, store, fleet, chores, session } = this.care;
    return await reconcilePool(
      {
        store,
        fleet,
        chores,
        session,
        revoked: ({ hostId, sessionId, epoch }, reason) =>
          sockets.send(hostId, { type: "lease.revoked", sessionId, epoch, reason }),
        now: () => Date.now(),
      },
      input,
    );
  }

  async sweepHosts(ask: boolean): Promise<{ asked: string[]; reports: HostSweep[] }> {
    const { store, sockets, reports } = this.care;
    const connected = store.hosts().filter(({ hostId }) => ask && sockets.isConnected(hostId));
    for (const { hostId } of connected) sockets.send(hostId, { type: "reconcile" });
    return { asked: connected.map(({ hostId }) => hostId), reports: reports.list() };
  }

  async settings(): Promise<VersionedSettings> {
    return this.care.settings.read();
  }

  async changeSettings(
    { organizationId, pool }: { organizationId: string; pool: string },
    patch: PoolSettingsPatch,
  ): Promise<VersionedSettings> {
    const { store, settings } = this.care;
    store.identify(organizationId, pool);
    const hosts = store.hosts().map(({ hostId }) => hostId);
    return settings.change(patch, hosts);
  }
}
