/**
 * The turns of a pool: a request comes in, a host says something, a deadline passes. Each turn changes the tables, places
 * what can be placed, and leaves what others have to learn in the outbox.
 */
import { TIMES } from "#protocol/limits.ts";
import type { FromHostControl, HostFacts } from "#protocol/messages.ts";
import type { LeaseGrant, LeaseRequest } from "#protocol/objects.ts";
import type { FleetNeeds } from "./fleet-needs.ts";
import type { LeaseRow } from "./fleet-store.ts";
import { leaseEndsAt } from "./host-liveness.ts";
import { deadlineName, sessionKey } from "./names.ts";
import { askForRoom, placeWaiting } from "./placing.ts";

export class Fleet {
  readonly #needs: FleetNeeds;
  /** When this object found sockets gone that it believed to be there: it had crashed. */
  readonly #crashedAt: number | undefined;

  constructor(needs: FleetNeeds) {
    this.#needs = needs;
    const { store, deadlines } = needs;
    const now = needs.now();
    const orphaned = store.hosts().filter((host) => host.connected && !needs.isConnected(host.hostId));
    this.#crashedAt = orphaned.length > 0 ? now : undefined;
    for (const host of orphaned) {
      store.seen(host.hostId, false, now);
      deadlines.set(deadlineName.host(host.hostId), leaseEndsAt({ lastSeenAt: now, connected: false }, now));
    }
  }

  /* ── requests ── */

  request(request: LeaseRequest): void {
    const { store, now } = this.#needs;
    const held = store.lease(request.sessionId);
    // Asked although it holds one: the news of the grant is still on its way. The request stays until the session has
    // taken it, because it may as well refuse it, having wanted none a moment ago.
    store.queue.add(request, now());
    if (held?.state === "held" && held.epoch > request.lastEpoch) {
      return this.#tellGranted(held);
    }
    this.place();
  }

  /** The host takes what it was offered; saying so twice is harmless. False when the lease is not its own. */
  confirm(hostId: string, sessionId: string, epoch: number): boolean {
    const { store, deadlines, now } = this.#needs;
    const lease = this.#ownLease(hostId, sessionId, epoch);
    if (!lease) return false;
    if (lease.state === "held") return true;
    store.hold(sessionId, now());
    store.queue.remove(sessionId);
    deadlines.clear(deadlineName.offer(sessionId));
    this.#tellGranted({ ...lease, state: "held" });
    return true;
  }

  grant(hostId: string, epoch: number): LeaseGrant {
    return { hostId, epoch, labels: this.#needs.store.host(hostId)?.facts?.labels ?? {} };
  }

  /** Whether a grant is still good: the news of it may have been long on its way. */
  holds(sessionId: string, epoch: number): boolean {
    const lease = this.#needs.store.lease(sessionId);
    return lease?.state === "held" && lease.epoch === epoch;
  }

  /** The session has taken the grant: what it asked for before it knew of it is served. */
  granted(sessionId: string, epoch: number): void {
    if (this.holds(sessionId, epoch)) this.#needs.store.queue.removeServed(sessionId, epoch);
  }

  withdraw(sessionId: string, runId: string): void {
    this.#needs.store.queue.remove(sessionId, runId);
  }

  release(sessionId: string, epoch: number): void {
    const lease = this.#needs.store.lease(sessionId);
    if (!lease || lease.epoch !== epoch) return;
    this.#endLease(lease);
    this.place();
  }

  /** Offers everything that can be placed now. Answers how many were placed and how many still wait. */
  place(): { claimed: number; waiting: number } {
    return placeWaiting(this.#needs);
  }

  /* ── hosts ── */

  connected(hostId: string): void {
    const { store, deadlines, now } = this.#needs;
    store.seen(hostId, true, now());
    deadlines.set(deadlineName.host(hostId), now() + TIMES.leaseMs);
    deadlines.clear(deadlineName.away(hostId));
  }

  disconnected(hostId: string): void {
    const { store, deadlines, now } = this.#needs;
    store.seen(hostId, false, now());
    // The transport is gone, the host may be well: its leases end by their own time.
    deadlines.set(deadlineName.host(hostId), leaseEndsAt({ lastSeenAt: now(), connected: false }, undefined));
    deadlines.set(deadlineName.away(hostId), now() + TIMES.awayMs);
  }

  fromHost(hostId: string, message: Exclude<FromHostControl, { type: "reconciled" }>): void {
    switch (message.type) {
      case "facts":
        return this.#facts(hostId, message.facts, message.leases);
      case "assign.accept":
        return this.#accepted(hostId, message.sessionId, message.epoch);
      case "assign.reject":
        return this.#rejected(hostId, message.sessionId, message.epoch, message.reason);
      case "lease.release":
        return this.#givenUp(hostId, message.sessionId, message.epoch);
      case "workspace.removed": {
        const { sessionId, epoch } = message;
        return this.#needs.outbox.put(sessionKey.removed(sessionId), { hostId, epoch }, this.#needs.now());
      }
      case "token.renew":
        return this.#needs.renewToken(hostId);
      default:
        return message satisfies never;
    }
  }

  deadline(name: string): void {
    if (name === deadlineName.retry) return void this.place();
    if (name === deadlineName.contention) return askForRoom(this.#needs);
    const [kind, id = ""] = name.split(":");
    if (kind === "offer") {
      const lease = this.#needs.store.lease(id);
      if (lease?.state === "offered") this.#rejected(lease.hostId, id, lease.epoch, "it did not answer in time");
    } else if (kind === "reconsider") {
      this.#reconsider(id);
    } else if (kind === "host") {
      this.#checkHost(id);
    } else if (kind === "away") {
      this.#stillAway(id);
    }
  }

  drain(hostId: string, draining: boolean): void {
    this.#needs.store.setDraining(hostId, draining);
    this.#needs.sendToHost(
      hostId,
      draining ? { type: "drain", reason: "an operator asked for it" } : { type: "drain.over" },
    );
    this.place();
  }

  remove(hostId: string): void {
    for (const lease of this.#needs.store.leases(hostId)) this.#loseLease(lease, "The host was removed.");
    this.#needs.store.removeHost(hostId);
    this.#needs.deadlines.clear(deadlineName.host(hostId));
    this.place();
  }

  /* ── steps ── */

  #facts(hostId: string, facts: HostFacts, believed: { sessionId: string; epoch: number }[]): void {
    const { store } = this.#needs;
    store.setFacts(hostId, facts);
    store.queue.forgetRefusals(hostId);
    for (const { sessionId, epoch } of believed) {
      if (this.#ownLease(hostId, sessionId, epoch)) continue;
      this.#needs.sendToHost(hostId, {
        type: "lease.revoked",
        sessionId,
        epoch,
        reason: "another host has the session, or it was given up",
      });
    }
    // A lease that the host has forgotten (its disk was lost) serves nobody.
    const known = new Set(believed.map((lease) => `${lease.sessionId}/${lease.epoch}`));
    for (const lease of store.leases(hostId)) {
      if (lease.state === "held" && !known.has(`${lease.sessionId}/${lease.epoch}`))
        this.#loseLease(lease, "The host came back without the session.");
    }
    this.place();
  }

  #accepted(hostId: string, sessionId: string, epoch: number): void {
    if (this.confirm(hostId, sessionId, epoch)) return;
    this.#needs.sendToHost(hostId, { type: "lease.revoked", sessionId, epoch, reason: "the offer has passed" });
  }

  /** Whom to ask to make room: those who have held their lease longest come first. */
  leasesToYield(): LeaseRow[] {
    return this.#needs.store
      .leases()
      .filter((lease) => lease.state === "held")
      .sort((a, b) => a.since - b.since);
  }

  /** A host gives a lease back: after a stop its session knows already, otherwise it learns it now. */
  #givenUp(hostId: string, sessionId: string, epoch: number): void {
    const lease = this.#ownLease(hostId, sessionId, epoch);
    if (lease) this.#loseLease(lease, "The host gave the session up.");
    // Its slot is free only now, also when the session said so before: what it refused meanwhile it may take.
    this.#reconsider(hostId);
  }

  /** Something changed at the host: what it refused is offered to it again. */
  #reconsider(hostId: string): void {
    this.#needs.store.queue.forgetRefusals(hostId);
    this.place();
  }

  #rejected(hostId: string, sessionId: string, epoch: number, reason: string): void {
    const lease = this.#ownLease(hostId, sessionId, epoch);
    if (lease?.state !== "offered") return;
    const { store, deadlines, now } = this.#needs;
    const attempts = store.queue.refused(lease.runId, { hostId, reason });
    deadlines.set(deadlineName.reconsider(hostId), now() + Math.min(60_000, 1_000 * 2 ** attempts), "if-sooner");
    this.#endLease(lease);
    this.place();
  }

  #checkHost(hostId: string): void {
    const { store, deadlines, isConnected, lastPingAt, hangUp, now } = this.#needs;
    const host = store.host(hostId);
    if (!host) return;
    const connected = isConnected(hostId);
    const lastSeenAt = Math.max(host.lastSeenAt, (connected ? lastPingAt(hostId) : undefined) ?? 0);
    const endsAt = leaseEndsAt({ lastSeenAt, connected }, this.#crashedAt);
    if (endsAt > now()) return deadlines.set(deadlineName.host(hostId), endsAt);
    store.seen(hostId, false, lastSeenAt);
    // Left open, a socket that is dead would be offered work, and nobody would look at its host again.
    if (connected) hangUp(hostId, "no ping for the time of a lease");
    for (const lease of store.leases(hostId))
      this.#loseLease(lease, `Host ${host.name} has been silent since ${new Date(lastSeenAt).toISOString()}.`);
    this.place();
  }

  /** Its process was killed, or its line is down: what it has not begun need not wait for the end of its leases. */
  #stillAway(hostId: string): void {
    const { store, outbox, isConnected, now } = this.#needs;
    if (isConnected(hostId)) return;
    const reason = `Host ${store.host(hostId)?.name} is not connected.`;
    for (const { sessionId, epoch, state } of store.leases(hostId)) {
      if (state === "offered") this.#rejected(hostId, sessionId, epoch, reason);
      else outbox.put(sessionKey.away(sessionId, epoch), { epoch, hostId, reason }, now());
    }
  }

  #ownLease(hostId: string, sessionId: string, epoch: number): LeaseRow | undefined {
    const lease = this.#needs.store.lease(sessionId);
    return lease?.hostId === hostId && lease.epoch === epoch ? lease : undefined;
  }

  #endLease(lease: LeaseRow): void {
    this.#needs.store.endLease(lease.sessionId);
    this.#needs.deadlines.clear(deadlineName.offer(lease.sessionId));
  }

  #loseLease(lease: LeaseRow, reason: string): void {
    const { outbox, now, sendToHost } = this.#needs;
    this.#endLease(lease);
    const { sessionId, epoch, hostId } = lease;
    if (lease.state === "held") outbox.put(sessionKey.lost(sessionId, epoch), { epoch, hostId, reason }, now());
    sendToHost(hostId, { type: "lease.revoked", sessionId, epoch, reason });
  }

  #tellGranted(lease: LeaseRow): void {
    const { sessionId, hostId, epoch } = lease;
    this.#needs.outbox.put(sessionKey.granted(sessionId), this.grant(hostId, epoch), this.#needs.now());
  }
}
