/** The pure parts: what is decided without anybody being asked. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RunEvent } from "#protocol/events.ts";
import { LIMITS } from "#protocol/limits.ts";
import { silentLogger } from "../../../executor-host/logs.ts";
import { decideOffer } from "../../../executor-host/offer.ts";
import { BATCH_BYTES, intoFrames, mergeDeltas } from "../../../executor-host/session/batch.ts";
import { nextStep } from "../../../executor-host/session/next-step.ts";
import { planWorkspace } from "../../../executor-host/session/prepare-workspace.ts";
import { resolveUrl } from "../../../executor-host/session/resolve-url.ts";
import { spoolTail } from "../../../executor-host/session/spool-tail.ts";
import { sseData } from "../../../executor-host/session/sse.ts";
import { SyncLoop } from "../../../executor-host/session/sync-loop.ts";
import { HeldClock } from "../../support/held-clock.ts";
import { delta, finished, messageStop, runStart, textOf } from "./host-under-test.ts";

const jsonBytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

describe("batches", () => {
  const event = fc.oneof(
    fc.tuple(fc.string({ maxLength: 300 }), fc.constantFrom("m1", "m2")).map(([text, id]) => delta(text, id)),
    fc.string().map((text) => messageStop(text)),
  );

  test("whatever is merged and split, the same is said in the same order, and every frame fits", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), fc.integer({ min: 400, max: 4_000 }), (events, maxBytes) => {
        const frames = intoFrames(mergeDeltas(events), maxBytes);
        for (const frame of frames) expect(jsonBytes(frame)).toBeLessThanOrEqual(maxBytes + 2);
        expect(textOf(frames.flat())).toBe(textOf(events));
        const stops = (list: readonly RunEvent[]) => list.filter(({ type }) => type === "message.stop").length;
        expect(stops(frames.flat())).toBe(stops(events));
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  test("neighbouring deltas of one message become one event, others stay apart", () => {
    const merged = mergeDeltas([delta("a"), delta("b"), messageStop("ab"), delta("c"), delta("d", "msg_2")]);
    expect(merged.map(({ type }) => type)).toEqual(["message.delta", "message.stop", "message.delta", "message.delta"]);
  });

  test("an event that is too large for any frame is cut with a note, the rest is untouched", () => {
    const huge = messageStop("x".repeat(2 * LIMITS.frameBytes));
    const [frame] = intoFrames([huge, finished]);
    expect(frame).toHaveLength(2);
    expect(jsonBytes(frame)).toBeLessThan(BATCH_BYTES);
    expect(JSON.stringify(frame)).toContain("cut by the host");
  });

  test("never more events in a frame than the wire allows", () => {
    const frames = intoFrames(Array.from({ length: 1_201 }, (_, i) => messageStop(String(i))));
    expect(frames.map((frame) => frame.length)).toEqual([500, 500, 201]);
  });
});

describe("offers", () => {
  const offer = { sessionId: "s", epoch: 3, vmMode: "docker" as const, dataUrl: "", storeUrl: "", traceId: "" };
  const free = { draining: false, slots: 1, vmModes: ["docker" as const], held: [] };
  test.each([
    ["free", {}, { accept: true, again: false }],
    ["full", { held: [{ sessionId: "t", epoch: 1 }] }, { accept: false }],
    ["draining", { draining: true }, { accept: false }],
    ["no room", { obstacle: "the disk is full" }, { accept: false, reason: "the disk is full" }],
    [
      "no room, held",
      { obstacle: "the disk is full", held: [{ sessionId: "s", epoch: 3 }] },
      { accept: true, again: true },
    ],
    ["no engine", { vmModes: [] }, { accept: false }],
    ["held", { held: [{ sessionId: "s", epoch: 3 }], draining: true }, { accept: true, again: true }],
    ["held, older", { held: [{ sessionId: "s", epoch: 2 }] }, { accept: true, again: false }],
    ["held, newer", { held: [{ sessionId: "s", epoch: 4 }] }, { accept: false }],
  ])("%s", (_name, change, decision) => {
    expect(decideOffer(offer, { ...free, ...change })).toMatchObject(decision);
  });
});

describe("what a workspace needs before a worker starts", () => {
  const S1 = "1".repeat(64);
  const S2 = "2".repeat(64);
  const disk = (snapshotId: string | undefined, epoch: number, dirty: boolean) => ({ snapshotId, epoch, dirty });
  test.each([
    ["new session", undefined, undefined, "keep"],
    ["new disk", undefined, S1, "restore"],
    ["same snapshot", disk(S1, 1, false), S1, "keep"],
    ["same snapshot, unsaved work on top", disk(S1, 1, true), S1, "keep"],
    ["moved on elsewhere", disk(S1, 1, false), S2, "restore"],
    ["moved on elsewhere, unsaved work here", disk(S1, 1, true), S2, "set_aside_and_restore"],
    ["set up under this lease: the disk is ahead of the store", disk(S1, 5, true), S2, "keep"],
  ] as const)("%s → %s", (_name, known, snapshotId, plan) => {
    expect(planWorkspace(known, { snapshotId, epoch: 5 })).toBe(plan);
  });
});

test("a session does runs first, then stops, then releases", () => {
  const lease = { assignment: {} as never, phase: "held" as const, stopReason: "idle" };
  const run = { run: runStart(), phase: "accepted" as const, lastN: 0, stopReason: undefined };
  expect(nextStep(lease, [run]).do).toBe("drive");
  expect(nextStep(lease, []).do).toBe("stop");
  expect(nextStep({ ...lease, stopReason: undefined }, []).do).toBe("idle");
  expect(nextStep({ ...lease, phase: "stopped" }, [run]).do).toBe("release");
  expect(nextStep(undefined, [run]).do).toBe("idle");
});

test.each([
  ["/api/link/x", "socket", "wss://gantry.example/api/link/x"],
  ["wss://other.example/x", "socket", "wss://other.example/x"],
  ["http://127.0.0.1:1/x", "socket", "ws://127.0.0.1:1/x"],
  ["/api/store/x", "http", "https://gantry.example/api/store/x"],
] as const)("the address %s of a control plane as %s is %s", (url, kind, resolved) => {
  expect(resolveUrl("https://gantry.example", url, kind)).toBe(resolved);
});

describe("the spool of a dead worker is not trusted", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "gs-"));
    mkdirSync(join(dir, "spool"));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  const line = (n: number, event: unknown = delta(String(n))) => JSON.stringify({ n, event });
  const write = (text: string) => writeFileSync(join(dir, "spool", "run_1.jsonl"), text);

  test("lines after the cursor, in order; an unfinished last line does not count", async () => {
    write(`{"start":{}}\n${[1, 2, 3].map((n) => line(n)).join("\n")}\n${line(4).slice(0, 20)}`);
    expect((await spoolTail(dir, "run_1", 1)).map(({ n }) => n)).toEqual([2, 3]);
  });

  test("a hole ends it, rubbish is left out, a missing spool is empty", async () => {
    write(`${line(1)}\nnot json\n${line(3)}\n`);
    expect((await spoolTail(dir, "run_1", 0)).map(({ n }) => n)).toEqual([1]);
    expect(await spoolTail(dir, "run_2", 0)).toEqual([]);
  });

  test("links lead nowhere, neither as the file nor as the folder", async () => {
    writeFileSync(join(dir, "secret"), `${line(1)}\n`);
    symlinkSync(join(dir, "secret"), join(dir, "spool", "run_1.jsonl"));
    expect(await spoolTail(dir, "run_1", 0)).toEqual([]);
    rmSync(join(dir, "spool"), { recursive: true });
    mkdirSync(join(dir, "elsewhere"));
    writeFileSync(join(dir, "elsewhere", "run_1.jsonl"), `${line(1)}\n`);
    symlinkSync(join(dir, "elsewhere"), join(dir, "spool"));
    expect(await spoolTail(dir, "run_1", 0)).toEqual([]);
    rmSync(join(dir, "spool"));
    mkdirSync(join(dir, "spool"));
    await expect(spoolTail(dir, "../secret", 0)).rejects.toThrow(/no run id/);
  });
});

test("server-sent events arrive whole, wherever the bytes were cut", async () => {
  const text = 'id: 1\nevent: x\ndata: {"a":"ä€"}\n\n: still here\n\ndata: one\ndata: two\r\n\r\ndata: unfinished';
  const bytes = Buffer.from(text);
  for (let size = 1; size <= 7; size++) {
    async function* cut() {
      for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
    }
    const seen: string[] = [];
    for await (const data of sseData(cut())) seen.push(data);
    expect(seen).toEqual(['{"a":"ä€"}', "one\ntwo"]);
  }
});

describe("the sync loop", () => {
  test("tries again after 1, 2, 4 … 60 s and starts over after a success", async () => {
    const clock = new HeldClock();
    const pauses: (number | undefined)[] = [];
    let failures = 8;
    const end = new AbortController();
    const loop = new SyncLoop({
      clock,
      logger: silentLogger,
      signal: end.signal,
      sync: async () => {
        if (failures-- > 0) throw new Error("away");
        return { snapshotId: "", files: 0, bytes: 0, bytesSent: 0, changed: false, omitted: 0 };
      },
      saved: () => {},
      failed: ({ retryInMs }) => pauses.push(retryInMs),
    });
    const saved = loop.saved();
    for (let i = 1; i <= 8; i++) {
      await clock.until(() => pauses.length === i && clock.pending().length > 0);
      clock.advance(pauses.at(-1) ?? 0);
    }
    await saved;
    failures = 1;
    loop.request();
    await clock.until(() => pauses.length === 9);
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 1_000]);
    end.abort();
  });

  test("[R-3.2] after a bounded number of failures it waits for a person: retry, extend, or give up", async () => {
    const clock = new HeldClock();
    const reports: { attempt: number; blocked?: boolean }[] = [];
    // A blocked loop sets no timer that the clock could notice: the report is what is waited for.
    let heard = () => {};
    const reported = (count: number) =>
      new Promise<void>((resolve) => {
        heard = () => reports.length >= count && resolve();
        heard();
      });
    const end = new AbortController();
    let syncs = 0;
    const loop = new SyncLoop({
      clock,
      logger: silentLogger,
      signal: end.signal,
      sync: async () => {
        syncs++;
        throw new Error("away");
      },
      saved: () => {},
      failed: ({ attempt, blocked }) => {
        reports.push({ attempt, ...(blocked ? { blocked } : {}) });
        heard();
      },
    });
    const waits = loop.saved();
    for (let i = 1; i < 12; i++) {
      await clock.until(() => reports.length === i && clock.pending().length > 0);
      clock.advance(60_000);
    }
    await reported(12);
    expect(reports.at(-1)).toEqual({ attempt: 12, blocked: true });
    expect(clock.pending()).toEqual([]);
    loop.request();
    await reported(13);
    expect(reports.at(-1)).toEqual({ attempt: 13, blocked: true });
    loop.extend();
    await reported(14);
    expect(reports.at(-1)).toEqual({ attempt: 1 });
    const before = syncs;
    loop.giveUp();
    await waits;
    expect(syncs).toBe(before);
    end.abort();
  });

  test("whoever waits is let go when the lease ends", async () => {
    const end = new AbortController();
    const never = new Promise<never>(() => {});
    const needs = { clock: new HeldClock(), logger: silentLogger, saved: () => {}, failed: () => {} };
    const loop = new SyncLoop({ ...needs, signal: end.signal, sync: () => never });
    const saved = loop.saved();
    end.abort();
    await saved;
  });
});
