/** A segment that is made again after whatever interrupted it. */
import { expect, test } from "vitest";
import type { SessionEvent } from "#protocol/events.ts";
import { Archive } from "../../../durable/session/archive.ts";
import { EventLog } from "../../../durable/session/event-log.ts";
import { Disk } from "../../fuzz/disk.ts";

/** A store that is away, gives back other bytes, or loses the answer to a write. */
class Bucket {
  readonly objects = new Map<string, Uint8Array<ArrayBuffer>>();
  fault: "none" | "away" | "corrupt" | "answer lost" = "none";
  writes = 0;
  async put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<object | null> {
    if (this.fault === "away") throw new Error("the store is away");
    const there = this.objects.has(key);
    if (!there) this.objects.set(key, bytes);
    if (!there) this.writes++;
    if (this.fault === "answer lost") throw new Error("the answer was lost");
    return there ? null : {};
  }
  async get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null> {
    const bytes = this.objects.get(key);
    if (!bytes) return null;
    const given = this.fault === "corrupt" ? bytes.with(40, 63) : bytes;
    return { arrayBuffer: async () => given.slice().buffer };
  }
}

test("[S-31] rows stay until their segment was read back right; doing it again writes nothing twice", async () => {
  const disk = new Disk(() => {});
  const storage = disk.storage({ alive: true });
  const log = new EventLog(storage);
  const bucket = new Bucket();
  const archive = new Archive(storage, bucket as unknown as R2Bucket);
  const who = { organizationId: "org_1", sessionId: "ses_1", pool: "default" };
  const text = "x".repeat(100_000);
  const events = Array.from({ length: 40 }, (_, index) => ({
    ...{ v: 1, seq: index + 1, at: index, sessionId: "ses_1", traceId: "t", type: "message.stop" },
    data: { messageId: "m", text },
  })) as SessionEvent[];
  for (const event of events) log.append([event], { epoch: 1, n: event.seq });
  const all = async () => [...(await Array.fromAsync(archive.after(0))), ...log.after(archive.upTo)].flat();
  for (const fault of ["away", "corrupt", "answer lost"] as const) {
    bucket.fault = fault;
    await expect(archive.move(who, 40), fault).rejects.toThrow();
    bucket.fault = "none";
    expect([archive.upTo, await all()]).toEqual([0, events]);
  }
  expect(archive.isDue(40)).toBe(true);
  await archive.move(who, 40);
  expect([bucket.objects.size, bucket.writes]).toEqual([1, 1]);
  expect(archive.upTo).toBeGreaterThan(5);
  expect(await all()).toEqual(events);
  expect(new Archive(storage, bucket as unknown as R2Bucket).upTo).toBe(archive.upTo);
  // However much is due: the row that says how far the host's messages were taken stays.
  for (let n = 0; n < 10; n++) await archive.move(who, 40);
  expect(await all()).toEqual(events);
  expect(log.taken(1)).toBe(40);
});

test("[S-31] [S-28] a log that an older version wrote, a row for each event, is read, archived and gone on with", async () => {
  const storage = new Disk(() => {}).storage({ alive: true });
  const { sql } = storage;
  sql.exec("CREATE TABLE schema (owner TEXT PRIMARY KEY, steps INTEGER NOT NULL) WITHOUT ROWID");
  sql.exec("INSERT INTO schema VALUES ('log', 1)");
  sql.exec(
    "CREATE TABLE log (seq INTEGER PRIMARY KEY, first INTEGER NOT NULL, epoch INTEGER, taken INTEGER, events TEXT NOT NULL)",
  );
  const event = (seq: number) =>
    ({
      ...{ v: 1, seq, at: seq, sessionId: "ses_1", runId: "run_1", traceId: "t", type: "message.delta" },
      data: { messageId: "m", chunks: [{ type: "text-delta", id: "1", delta: "x".repeat(50_000) }] },
    }) as SessionEvent;
  const old = Array.from({ length: 60 }, (_none, index) => event(index + 1));
  for (const each of old)
    sql.exec("INSERT INTO log VALUES (?, ?, 1, ?, ?)", each.seq, each.seq, each.seq, JSON.stringify([each]));
  const log = new EventLog(storage);
  expect(log.taken(1)).toBe(60);
  expect([...log.changesAfter(0)].slice(0, 60)).toEqual(old);
  const archive = new Archive(storage, new Bucket() as unknown as R2Bucket);
  const now = Array.from({ length: 5 }, (_none, index) => event(61 + index));
  for (const each of now) log.append([each], { epoch: 1, n: each.seq });
  const who = { organizationId: "org_1", sessionId: "ses_1", pool: "default" };
  for (let round = 0; round < 3; round++) await archive.move(who, 65);
  expect(archive.upTo).toBeGreaterThan(40);
  for (const cursor of [0, 17, archive.upTo, 64]) {
    const read = [
      ...(await Array.fromAsync(archive.after(cursor))),
      ...log.after(Math.max(cursor, archive.upTo)),
    ].flat();
    expect(read).toEqual([...old, ...now].slice(cursor));
  }
  expect(new EventLog(storage).taken(1)).toBe(65);
});

test("[S-28] a wake is given what changes a view and the last event, of however many words lie between", () => {
  const log = new EventLog(new Disk(() => {}).storage({ alive: true }));
  const event = (seq: number, type: string, data: object) =>
    ({ v: 1, seq, at: seq, sessionId: "ses_1", runId: "run_1", traceId: "t", type, data }) as SessionEvent;
  const word = { messageId: "m", chunks: [{ type: "text-delta", id: "1", delta: "word" }] };
  log.append([event(1, "run.status", { state: "running" })]);
  for (let seq = 2; seq <= 500; seq++) log.append([event(seq, "message.delta", word)], { epoch: 1, n: seq });
  log.append([event(501, "todo.update", { items: [] })], { epoch: 1, n: 501 });
  log.append([event(502, "message.delta", word)], { epoch: 1, n: 502 });
  expect([...log.changesAfter(0)].map(({ seq }) => seq)).toEqual([1, 501, 502]);
  expect([...log.changesAfter(1)].map(({ seq }) => seq)).toEqual([501, 502]);
});
