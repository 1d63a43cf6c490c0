import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import type { RunEvent } from "#protocol/events.ts";
import { Spool, type SpooledEvent } from "../../../executor-host/runner/spool.ts";
import { startOrder } from "./support/runner-client.ts";
import { temporaryFolder } from "./support/temporary.ts";

const note = (detail: string): RunEvent => ({ type: "run.status", data: { state: "running", detail } });
const end: RunEvent = { type: "run.finished", data: { outcome: "succeeded" } };
const never = new AbortController().signal;

async function newSpool() {
  const file = path.join(await temporaryFolder(), "run_1.jsonl");
  return { file, spool: Spool.create(file, startOrder({ runId: "run_1", cwd: "/" })) };
}

async function readAll(spool: Spool, cursor = 0): Promise<SpooledEvent[]> {
  const all: SpooledEvent[] = [];
  for await (const batch of spool.follow(cursor, never)) all.push(...batch);
  return all;
}

test("an event is on disk when append returns", async () => {
  const { file, spool } = await newSpool();
  expect(spool.append(note("one"))).toBe(1);
  expect(readFileSync(file, "utf8").split("\n")[1]).toBe(JSON.stringify({ n: 1, event: note("one") }));
});

test("a reader gets what is there and what comes, in order, and its end", async () => {
  const { spool } = await newSpool();
  spool.append(note("1"));
  const reading = readAll(spool);
  for (let i = 2; i <= 50; i++) {
    spool.append(note(String(i)));
    if (i % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  spool.append(end);
  const all = await reading;
  expect(all.map(({ n }) => n)).toEqual(Array.from({ length: 51 }, (_, i) => i + 1));
  expect(all.map(({ json }) => JSON.parse(json).event)[16]).toEqual(note("17"));
  expect(all.at(-1)?.type).toBe("run.finished");
  for (let cursor = 0; cursor <= 51; cursor++) expect(await readAll(spool, cursor)).toEqual(all.slice(cursor));
});

test("a reader that does not read holds up nobody, and misses nothing", async () => {
  const { spool } = await newSpool();
  const slow = spool.follow(0, never);
  const big = note("x".repeat(900));
  for (let i = 0; i < 5_000; i++) spool.append(big);
  spool.append(end);
  let count = 0;
  for await (const batch of slow) count += batch.length;
  expect(count).toBe(5_001);
});

test("a reader that leaves while it waits is let go", async () => {
  const { spool } = await newSpool();
  const leaving = new AbortController();
  const read = spool.follow(0, leaving.signal).next();
  setImmediate(() => leaving.abort());
  expect(await read).toEqual({ done: true, value: undefined });
});

test("nothing can be added after run.finished", async () => {
  const { spool } = await newSpool();
  spool.append(end);
  expect(() => spool.append(note("late"))).toThrow("closed");
});

test("a spool is found again as it was; a torn last line was never there", async () => {
  const { file, spool } = await newSpool();
  spool.append(note("ä"));
  spool.append(note("two"));
  appendFileSync(file, '{"n":3,"event":{"type":"run.st');
  const again = Spool.reopen(file);
  expect(again?.start).toEqual(spool.start);
  expect(again?.append(note("three"))).toBe(3);
  again?.append(end);
  expect((await readAll(again!)).map(({ json }) => JSON.parse(json).event)).toEqual([
    note("ä"),
    note("two"),
    note("three"),
    end,
  ]);
  expect(Spool.reopen(file)?.finished).toBe(true);
});

test("a file without a whole header is no spool; one with foreign lines is refused", async () => {
  const { file } = await newSpool();
  writeFileSync(file, '{"start":{"ru');
  expect(Spool.reopen(file)).toBeUndefined();
  writeFileSync(file, '{"hello":1}\n');
  expect(() => Spool.reopen(file)).toThrow();
});
