/**
 * The server's side of a numbered link: what was sent and not acknowledged, and how far the peer's messages were
 * taken. One row per peer; numbering starts again when the epoch changes (PROTOCOL [P-12] to [P-17]).
 */
import { plausibleAck, receive } from "#protocol/link.ts";
import { upgrade } from "./schema.ts";

export type LinkPosition = {
  epoch: number;
  /** The peer's messages up to this number were taken. */
  taken: number;
  /** Ours up to this number were sent. */
  sent: number;
};
/** Whether the number of a message that was taken is stored with what the message brought, or still has to be. */
export type Taken = "stored" | "not-stored";
/**
 * `acknowledged`: ours up to this number are with the peer. Those up to `dropped` are out of the table, too; the rest goes with
 * the next write: an acknowledgement alone is no reason to write, and one that is forgotten with the instance comes again.
 */
type Known = LinkPosition & { acknowledged: number; dropped: number };

export class LinkStore {
  readonly #sql: SqlStorage;
  /**
   * What the tables say, so that a frame does not have to ask. Only the peer's frames fill it, never a turn, which may be
   * taken back; a turn that writes empties it.
   */
  readonly #known = new Map<string, Known>();

  readonly #storedElsewhere: (peer: string, epoch: number) => number;

  /** @param storedElsewhere the highest number of the peer that is stored with what its message brought; 0 for none */
  constructor(storage: DurableObjectStorage, storedElsewhere: (peer: string, epoch: number) => number = () => 0) {
    this.#sql = storage.sql;
    this.#storedElsewhere = storedElsewhere;
    upgrade(storage, "link", [
      "CREATE TABLE IF NOT EXISTS link (peer TEXT PRIMARY KEY, epoch INTEGER NOT NULL, taken INTEGER NOT NULL, sent INTEGER NOT NULL) WITHOUT ROWID",
      "CREATE TABLE IF NOT EXISTS outgoing (peer TEXT, n INTEGER, body TEXT NOT NULL, PRIMARY KEY (peer, n)) WITHOUT ROWID",
    ]);
  }

  /** A new lease: both sides count from 1 again, and what was meant for the old one is void. */
  reset(peer: string, epoch: number): void {
    this.forget(peer);
    this.#sql.exec("INSERT INTO link (peer, epoch, taken, sent) VALUES (?, ?, 0, 0)", peer, epoch);
  }

  forget(peer: string): void {
    this.#known.delete(peer);
    this.#sql.exec("DELETE FROM outgoing WHERE peer = ?", peer);
    this.#sql.exec("DELETE FROM link WHERE peer = ?", peer);
  }

  /** How far the link has come; a peer that was never heard of starts at zero. */
  position(peer: string): LinkPosition {
    return this.#knownOf(peer);
  }

  /** Stores a message for the peer and answers the frame to send. */
  enqueue(peer: string, message: unknown): string {
    this.#drop(peer);
    this.#known.delete(peer);
    const { epoch, taken, sent } = this.#read(peer);
    const n = sent + 1;
    const body = JSON.stringify(message);
    this.#save(peer, { epoch, taken, sent: n });
    this.#sql.exec("INSERT INTO outgoing (peer, n, body) VALUES (?, ?, ?)", peer, n, body);
    return frame(n, taken, body);
  }

  /** What to do with the peer's message number `n`. */
  arrived(peer: string, n: number): "take" | "duplicate" | "gap" {
    return receive(this.#knownOf(peer).taken, n);
  }

  /** Message `n` of the peer was taken: it counts from now on. */
  took(peer: string, n: number, taken: Taken): void {
    if (taken === "not-stored") {
      this.#save(peer, { ...this.#knownOf(peer), taken: n });
      this.#drop(peer);
    }
    const known = this.#known.get(peer);
    if (known) known.taken = n;
  }

  /** Drops what the peer has. False when it acknowledges what was never sent. */
  acknowledged(peer: string, ack: number): boolean {
    const known = this.#knownOf(peer);
    if (!plausibleAck(known.sent, ack)) return false;
    known.acknowledged = Math.max(ack, known.acknowledged);
    return true;
  }

  /**
   * The peer has come back and has ours up to `received`. One that has less than it once acknowledged has lost its disk, and
   * takes only the number after what it has: what waits for it is numbered anew from there. False when it has what was
   * never sent.
   */
  resumed(peer: string, received: number): boolean {
    const { epoch, taken, sent, acknowledged } = this.#knownOf(peer);
    if (!plausibleAck(sent, received)) return false;
    if (received >= acknowledged) {
      this.acknowledged(peer, received);
      this.#drop(peer);
      return true;
    }
    this.#drop(peer);
    this.#known.delete(peer);
    this.#sql.exec("UPDATE outgoing SET n = n - ? WHERE peer = ?", acknowledged - received, peer);
    this.#save(peer, { epoch, taken, sent: sent - (acknowledged - received) });
    return true;
  }

  /** The frames that the peer does not have, in order. */
  unacknowledged(peer: string): string[] {
    const { taken } = this.position(peer);
    return this.#sql
      .exec<{ n: number; body: string }>("SELECT n, body FROM outgoing WHERE peer = ? ORDER BY n", peer)
      .toArray()
      .map((row) => frame(row.n, taken, row.body));
  }

  #knownOf(peer: string): Known {
    let known = this.#known.get(peer);
    if (!known) {
      const position = this.#read(peer);
      const { first } = this.#sql
        .exec<{ first: number | null }>("SELECT min(n) AS first FROM outgoing WHERE peer = ?", peer)
        .one();
      const acknowledged = first === null ? position.sent : first - 1;
      known = { ...position, acknowledged, dropped: acknowledged };
      this.#known.set(peer, known);
    }
    return known;
  }

  #drop(peer: string): void {
    const known = this.#known.get(peer);
    if (!known || known.dropped >= known.acknowledged) return;
    this.#sql.exec("DELETE FROM outgoing WHERE peer = ? AND n <= ?", peer, known.acknowledged);
    known.dropped = known.acknowledged;
  }

  #read(peer: string): LinkPosition {
    const row = this.#sql.exec<LinkPosition>("SELECT epoch, taken, sent FROM link WHERE peer = ?", peer).toArray()[0];
    if (!row) return { epoch: 0, taken: 0, sent: 0 };
    return { ...row, taken: Math.max(row.taken, this.#storedElsewhere(peer, row.epoch)) };
  }

  #save(peer: string, { epoch, taken, sent }: LinkPosition): void {
    this.#sql.exec(
      "INSERT INTO link (peer, epoch, taken, sent) VALUES (?, ?, ?, ?) ON CONFLICT (peer) DO UPDATE SET epoch = excluded.epoch, taken = excluded.taken, sent = excluded.sent",
      peer,
      epoch,
      taken,
      sent,
    );
  }
}

const frame = (n: number, ack: number, body: string): string => `{"n":${n},"ack":${ack},"message":${body}}`;
