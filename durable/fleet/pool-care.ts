/** What operators and sweeps ask of a pool beside its daily work. The pool's object inherits it; here is what it needs. */
import { DurableObject } from "cloudflare:workers";
import type { DeadLetter, FleetQueue, Result } from "#protocol/objects.ts";
import type { PoolReconcile, PoolReconciled, PoolStanding } from "#protocol/reconcile.ts";
import type { ObjectsEnv } from "../shell/env.ts";
import type { ControlSockets } from "./control-inbox.ts";
import { queueReport } from "./queue-report.ts";
import { type PoolCareNeeds, poolStanding, reconcilePool } from "./reconcile.ts";

export type Care = Pick<PoolCareNeeds, "store" | "fleet" | "chores" | "session"> & { sockets: ControlSockets };

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
    const { sockets, ...care } = this.care;
    return await reconcilePool(
      {
        ...care,
        revoked: ({ hostId, sessionId, epoch }, reason) =>
          sockets.send(hostId, { type: "lease.revoked", sessionId, epoch, reason }),
        now: () => Date.now(),
      },
      input,
    );
  }
}
