/**
 * Old rows of the log as segments in the store, reached by the same cursor. Names are written once: they carry the range
 * and the hash, so doing a step again, after whatever interrupted it, does the same.
 *
 *   segment 1…4,000 │ segment 4,001…9,000 │ rows of the object 9,001 … last
 *
 * The rows go only after the segment was read back and its hash was right. Segments are kept as long as the session is.
 */
import { createHash } from "node:crypto";
import type { SessionEvent } from "#protocol/events.ts";
import { LIMITS } from "#protocol/limits.ts";
import { upgrade } from "../shell/schema.ts";
import type { Identity } from "./checkpoint.ts";

type Segment = { first: number; seq: number; key: string; sha256: string };

export class Archive {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #store: R2Bucket;
  /** Everything up to here is in segments. */
  #upTo: number;

  constructor(storage: DurableObjectStorage, store: R2Bucket) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#store = store;
    upgrade(storage, "archive", [
      "CREATE TABLE segment (first INTEGER PRIMARY KEY, seq INTEGER NOT NULL, key TEXT NOT NULL, sha256 TEXT NOT NULL)",
    ]);
    this.#upTo = this.#sql.exec<{ seq: number | null }>("SELECT max(seq) AS seq FROM segment").one().seq ?? 0;
  }

  get upTo(): number {
    return this.#upTo;
  }

  /** Whether the object holds more of the settled log than it keeps, by a segment or more. */
  isDue(settled: number): boolean {
    const { bytes } = this.#sql
      .exec<{ bytes: number | null }>("SELECT sum(length(events)) AS bytes FROM log WHERE seq <= ?", settled)
      .one();
    return (bytes ?? 0) >= LIMITS.logInObjectBytes + LIMITS.logSegmentBytes;
  }

  /**
   * Moves the oldest rows into a segment.
   * @throws what the store throws, and an error when it gives back something else than it was given
   */
  async move({ organizationId, sessionId }: Identity, settled: number): Promise<void> {
    const rows = this.#oldest(settled);
    const first = rows[0]?.first;
    const last = rows.at(-1)?.seq;
    if (first === undefined || last === undefined) return;
    const text = `[${rows.map(({ events }) => events.slice(1, -1)).join(",")}]`;
    const bytes = new Uint8Array(new TextEncoder().encode(text));
    const sha256 = hashOf(bytes);
    const key = `${prefixOf(organizationId, sessionId)}${first}-${last}-${sha256.slice(0, 32)}`;
    await this.#store.put(key, bytes, { onlyIf: { etagDoesNotMatch: "*" }, sha256 });
    await this.#read({ key, sha256 });
    this.#storage.transactionSync(() => {
      this.#sql.exec("INSERT INTO segment (first, seq, key, sha256) VALUES (?, ?, ?, ?)", first, last, key, sha256);
      this.#sql.exec("DELETE FROM log WHERE seq <= ?", last);
    });
    this.#upTo = last;
  }

  /** The archived events after `cursor`, segment by segment. @throws when the store does not have what it was given */
  async *after(cursor: number): AsyncGenerator<SessionEvent[]> {
    for (let at = cursor; at < this.#upTo; ) {
      const [segment] = this.#sql
        .exec<Segment>("SELECT first, seq, key, sha256 FROM segment WHERE seq > ? ORDER BY seq LIMIT 1", at)
        .toArray();
      if (!segment) return;
      const events = JSON.parse(await this.#read(segment)) as SessionEvent[];
      yield events.filter(({ seq }) => seq > at);
      at = segment.seq;
    }
  }

  /** Removes everything of this session: what was registered, and what an interrupted step has left. */
  async forget({ organizationId, sessionId }: Identity): Promise<void> {
    const prefix = prefixOf(organizationId, sessionId);
    for (;;) {
      const { objects } = await this.#store.list({ prefix });
      if (objects.length === 0) break;
      await this.#store.delete(objects.map(({ key }) => key));
    }
  }

  /** The rows of the next segment. The newest row of a host stays: it says how far the host's messages were taken. */
  #oldest(settled: number): { first: number; seq: number; events: string }[] {
    const rows: { first: number; seq: number; events: string }[] = [];
    let size = 0;
    for (const row of this.#sql.exec<{ first: number; seq: number; events: string }>(
      "SELECT first, seq, events FROM log WHERE seq <= ? AND seq < (SELECT max(seq) FROM log WHERE taken IS NOT NULL) ORDER BY seq",
      settled,
    )) {
      rows.push(row);
      size += row.events.length;
      if (size >= LIMITS.logSegmentBytes) break;
    }
    return rows;
  }

  async #read({ key, sha256 }: Pick<Segment, "key" | "sha256">): Promise<string> {
    const object = await this.#store.get(key);
    if (!object) throw new Error(`the store does not have the log segment ${key}`);
    const bytes = new Uint8Array(await object.arrayBuffer());
    if (hashOf(bytes) !== sha256) throw new Error(`the store has something else as the log segment ${key}`);
    return new TextDecoder().decode(bytes);
  }
}

/** Tenancy is in the name: an organisation's objects lie under its own prefix. */
const prefixOf = (organizationId: string, sessionId: string): string =>
  `orgs/${organizationId}/sessions/${sessionId}/log/`;

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
