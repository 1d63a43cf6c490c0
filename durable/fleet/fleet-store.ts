/** The tables of a pool: hosts and leases, and the queue beside them. Rows in, rows out; what to do with them is decided elsewhere. */
import { type HostFacts, hostFactsSchema } from "#protocol/messages.ts";
import type { FleetLease } from "#protocol/objects.ts";
import { upgrade } from "../shell/schema.ts";
import { DeadLetters } from "./dead-letters.ts";
import type { Candidate } from "./placement.ts";
import { RunQueue } from "./run-queue.ts";
import { FLEET_STEPS } from "./tables.ts";

export type HostRow = {
  hostId: string;
  name: string;
  createdAt: number;
  lastSeenAt: number;
  /** What we believe about its socket; the sockets themselves are the truth after a restart. */
  connected: boolean;
  draining: boolean;
  facts: HostFacts | undefined;
};
export type LeaseRow = FleetLease & { runId: string };

export class FleetStore {
  readonly queue: RunQueue;
  readonly deadLetters: DeadLetters;
  readonly #sql: SqlStorage;
  /** Facts of hosts as they were last parsed: each placement asks for all of them. */
  readonly #facts = new Map<string, { text: string; facts: HostFacts }>();

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
    upgrade(storage, "fleet", FLEET_STEPS);
    this.queue = new RunQueue(storage);
    this.deadLetters = new DeadLetters(storage);
  }

  /* ── identity ── */

  /** The first one to speak names the pool; it stays so. */
  identify(organizationId: string, pool: string): void {
    this.#sql.exec(
      "INSERT INTO identity (id, organization_id, pool) VALUES (1, ?, ?) ON CONFLICT (id) DO NOTHING",
      organizationId,
      pool,
    );
  }

  get organizationId(): string {
    return this.#identity()?.organization_id ?? "";
  }

  get pool(): string {
    return this.#identity()?.pool ?? "";
  }

  #identity(): { organization_id: string; pool: string } | undefined {
    return this.#sql
      .exec<{ organization_id: string; pool: string }>("SELECT organization_id, pool FROM identity")
      .toArray()[0];
  }

  /* ── hosts ── */

  register(hostId: string, name: string, now: number): void {
    this.#sql.exec(
      `INSERT INTO host (host_id, name, created_at, last_seen_at, connected, draining) VALUES (?, ?, ?, 0, 0, 0)
       ON CONFLICT (host_id) DO UPDATE SET name = excluded.name`,
      hostId,
      name,
      now,
    );
  }

  hosts(): HostRow[] {
    const rows = this.#sql.exec<HostColumns>("SELECT * FROM host ORDER BY created_at, host_id").toArray();
    return rows.map((row) => this.#host(row));
  }

  host(hostId: string): HostRow | undefined {
    const [row] = this.#sql.exec<HostColumns>("SELECT * FROM host WHERE host_id = ?", hostId).toArray();
    return row && this.#host(row);
  }

  seen(hostId: string, connected: boolean, now: number): void {
    this.#sql.exec("UPDATE host SET connected = ?, last_seen_at = ? WHERE host_id = ?", connected ? 1 : 0, now, hostId);
  }

  setFacts(hostId: string, facts: HostFacts): void {
    this.#sql.exec("UPDATE host SET facts = ?, name = ? WHERE host_id = ?", JSON.stringify(facts), facts.name, hostId);
  }

  setDraining(hostId: string, draining: boolean): void {
    this.#sql.exec("UPDATE host SET draining = ? WHERE host_id = ?", draining ? 1 : 0, hostId);
  }

  removeHost(hostId: string): void {
    this.#sql.exec("DELETE FROM host WHERE host_id = ?", hostId);
    this.#sql.exec("DELETE FROM ticket WHERE host_id = ?", hostId);
  }

  /* ── tickets ── */

  addTicket(hash: string, hostId: string, expiresAt: number, now: number): void {
    this.#sql.exec("DELETE FROM ticket WHERE expires_at <= ?", now);
    this.#sql.exec("INSERT INTO ticket (hash, host_id, expires_at) VALUES (?, ?, ?)", hash, hostId, expiresAt);
  }

  /** Takes the ticket out: the same one a second time is not there any more. */
  takeTicket(hash: string, hostId: string, now: number): boolean {
    return (
      this.#sql
        .exec("DELETE FROM ticket WHERE hash = ? AND host_id = ? AND expires_at > ? RETURNING hash", hash, hostId, now)
        .toArray().length > 0
    );
  }

  /* ── leases ── */

  /** The next epoch of a session: larger than any this pool gave out and any the session has seen. */
  nextEpoch(sessionId: string, lastEpoch: number): number {
    const known =
      this.#sql.exec<{ epoch: number }>("SELECT epoch FROM epoch WHERE session_id = ?", sessionId).toArray()[0]
        ?.epoch ?? 0;
    const next = Math.max(known, lastEpoch) + 1;
    this.#sql.exec(
      "INSERT INTO epoch (session_id, epoch) VALUES (?, ?) ON CONFLICT (session_id) DO UPDATE SET epoch = excluded.epoch",
      sessionId,
      next,
    );
    return next;
  }

  offer(lease: LeaseRow): void {
    const { sessionId, hostId, epoch, runId, since } = lease;
    this.#sql.exec(
      "INSERT INTO lease (session_id, host_id, epoch, state, run_id, since) VALUES (?, ?, ?, 'offered', ?, ?)",
      sessionId,
      hostId,
      epoch,
      runId,
      since,
    );
  }

  hold(sessionId: string, now: number): void {
    this.#sql.exec("UPDATE lease SET state = 'held', since = ? WHERE session_id = ?", now, sessionId);
  }

  endLease(sessionId: string): void {
    this.#sql.exec("DELETE FROM lease WHERE session_id = ?", sessionId);
  }

  lease(sessionId: string): LeaseRow | undefined {
    return this.#sql
      .exec<LeaseColumns>("SELECT * FROM lease WHERE session_id = ?", sessionId)
      .toArray()
      .map(toLease)[0];
  }

  leases(hostId?: string): LeaseRow[] {
    return this.#sql
      .exec<LeaseColumns>("SELECT * FROM lease WHERE host_id = ? OR ? IS NULL", hostId ?? null, hostId ?? null)
      .toArray()
      .map(toLease);
  }

  #host(row: HostColumns): HostRow {
    const known = this.#facts.get(row.host_id);
    if (row.facts === null) return toHost(row, undefined);
    if (known?.text === row.facts) return toHost(row, known.facts);
    const facts = hostFactsSchema.parse(JSON.parse(row.facts));
    this.#facts.set(row.host_id, { text: row.facts, facts });
    return toHost(row, facts);
  }

  candidates(isConnected: (hostId: string) => boolean): Candidate[] {
    const leases = this.leases();
    return this.hosts().map(({ hostId, name, draining, facts }) => ({
      hostId,
      name,
      draining,
      facts,
      connected: isConnected(hostId),
      leases: leases.filter((lease) => lease.hostId === hostId).length,
    }));
  }
}

type HostColumns = {
  host_id: string;
  name: string;
  created_at: number;
  last_seen_at: number;
  connected: number;
  draining: number;
  facts: string | null;
};
type LeaseColumns = {
  session_id: string;
  host_id: string;
  epoch: number;
  state: "offered" | "held";
  run_id: string;
  since: number;
};

function toHost(row: HostColumns, facts: HostFacts | undefined): HostRow {
  return {
    hostId: row.host_id,
    name: row.name,
    createdAt: row.created_at,
    lastSeenAt: row.last_seen_at,
    connected: row.connected === 1,
    draining: row.draining === 1,
    facts,
  };
}

function toLease(row: LeaseColumns): LeaseRow {
  return {
    sessionId: row.session_id,
    hostId: row.host_id,
    epoch: row.epoch,
    state: row.state,
    runId: row.run_id,
    since: row.since,
  };
}
