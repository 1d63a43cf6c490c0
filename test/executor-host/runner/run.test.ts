/** A run's life: the ladder of the end, the order of the last events, one run.finished. Time is moved by hand. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { RunEvent } from "#protocol/events.ts";
import type { Adapter, AdapterContext, AdapterEnd } from "../../../executor-host/runner/adapters/adapter.ts";
import { Grants } from "../../../executor-host/runner/grants.ts";
import { Run, STOP_LADDER } from "../../../executor-host/runner/run.ts";
import { Spool } from "../../../executor-host/runner/spool.ts";
import { ManualClock } from "./support/manual-clock.ts";
import { finishedOf, ofType } from "./support/read.ts";
import { startOrder } from "./support/runner-client.ts";
import { temporaryFolder } from "./support/temporary.ts";

type Work = (context: AdapterContext) => Promise<AdapterEnd>;

async function start(work: Work, timeoutMs = 60_000, spoolMaxBytes?: number) {
  const dir = await temporaryFolder();
  const clock = new ManualClock();
  const spool = Spool.create(path.join(dir, "r.jsonl"), startOrder({ runId: "run_1", cwd: dir, timeoutMs }));
  let given: AdapterContext | undefined;
  const adapter: Adapter = {
    provider: "scripted",
    readiness: () => ({ ready: true }),
    run: (_input, context) => {
      given = context;
      return work(context);
    },
  };
  const run = new Run(spool, adapter, {
    spoolMaxBytes,
    clock,
    grants: new Grants(path.join(dir, "grants.json")),
    providerUrl: undefined,
  });
  const events = async () => {
    const all: RunEvent[] = [];
    for await (const batch of spool.follow(0, new AbortController().signal))
      all.push(...batch.map(({ json }) => JSON.parse(json).event));
    return all;
  };
  return { run, clock, spool, events, dir, context: () => given! };
}

const ok: AdapterEnd = { ok: true };
let makeRoom = () => {};
let pid = 0;
const forever = () => new Promise<AdapterEnd>(() => {});
const untilInterrupted: Work = ({ signal }) =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(ok), { once: true }));

/** A program that says when it runs; `trap` is what it does with SIGTERM. */
async function spawnShell(context: AdapterContext, cwd: string, trap = ":") {
  const script = `${trap}; echo ready; while :; do tail -f /dev/null & wait $!; done`;
  const child = context.spawn("bash", ["-c", script], {
    cwd,
    env: { PATH: process.env.PATH },
    stdio: ["ignore", "pipe", "ignore"],
  });
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  return child;
}

test("the end has its order: deltas, message.stop, usage.recorded, run.finished", async () => {
  const { events } = await start(async ({ clock, emit, usage, todos }) => {
    emit({ type: "text-start", id: "1" });
    emit({ type: "text-delta", id: "1", delta: "a" });
    todos([]);
    emit({ type: "text-delta", id: "1", delta: "b" });
    emit({ type: "text-delta", id: "1", delta: "c" });
    usage({ inputTokens: 1 });
    usage({ inputTokens: 2, outputTokens: 3 });
    (clock as ManualClock).advance(40);
    return ok;
  });
  const all = await events();
  const order = all.map(({ type }) => type);
  expect(order.slice(-3)).toEqual(["message.stop", "usage.recorded", "run.finished"]);
  expect(order.indexOf("todo.update")).toBeGreaterThan(order.indexOf("message.delta"));
  expect(ofType(all, "message.stop")[0]?.data.text).toBe("abc");
  const usage = { inputTokens: 2, outputTokens: 3, durationMs: 40 };
  expect(finishedOf(all)).toMatchObject({ outcome: "succeeded", usage });
});

test("a run that said nothing has no message, and without usage none is recorded", async () => {
  const { events } = await start(async () => ok);
  expect((await events()).map(({ type }) => type)).toEqual(["run.status", "run.finished"]);
});

test("what an adapter says after the end is dropped", async () => {
  const { run, events, context, spool, clock } = await start(async () => ok);
  await run.finished;
  const before = spool.lastN;
  context().emit({ type: "text-delta", id: "1", delta: "late" });
  context().todos([]);
  context().note("late");
  clock.advance(1_000);
  expect(spool.lastN).toBe(before);
  expect(finishedOf(await events())).toMatchObject({ outcome: "succeeded" });
});

test("a failure is classified and its evidence redacted; an adapter that throws is ours and internal", async () => {
  const named = await start(async () => ({
    ok: false,
    reason: "auth_rejected",
    evidence: "key sk-ant-api03-abcdefghijk is bad",
  }));
  expect(finishedOf(await named.events())).toEqual({
    outcome: "failed",
    reason: "auth_rejected",
    evidence: "key [redacted] is bad",
  });
  const thrown = await start(async () => {
    throw new Error("oops");
  });
  expect(finishedOf(await thrown.events())).toMatchObject({
    outcome: "failed",
    reason: "internal",
    evidence: expect.stringContaining("oops"),
  });
});

test("stop interrupts; an adapter that obeys ends the run as cancelled, whatever it answers", async () => {
  const { run, events, clock } = await start(
    ({ signal }) =>
      new Promise((resolve) =>
        signal.addEventListener("abort", () => resolve({ ok: false, reason: "internal", evidence: "aborted" })),
      ),
  );
  run.stop();
  run.stop();
  expect(finishedOf(await events())).toEqual({ outcome: "cancelled" });
  expect(clock.pending).toBe(0);
});

test("an adapter that does not come back is given up", async () => {
  const { run, events, clock } = await start(forever);
  run.stop();
  clock.advance(STOP_LADDER.giveUpAfterMs - 1);
  expect(run.state).toBe("running");
  clock.advance(1);
  expect(finishedOf(await events())).toEqual({ outcome: "cancelled" });
});

test("the deadline ends a run as timed_out", async () => {
  const { events, clock, run } = await start(untilInterrupted, 5_000);
  clock.advance(4_999);
  expect(run.state).toBe("running");
  clock.advance(1);
  expect(finishedOf(await events())).toMatchObject({ outcome: "timed_out", reason: "timeout" });
});

describe("[S-20] the deadline does not run while a person is asked", () => {
  const requestsOf = async (spool: Spool, count: number) => {
    const asked: string[] = [];
    for await (const batch of spool.follow(0, new AbortController().signal)) {
      for (const { json } of batch) {
        const { event } = JSON.parse(json) as { event: RunEvent };
        if (event.type === "human_loop.requested") asked.push(event.data.requestId);
      }
      if (asked.length >= count) break;
    }
    return asked;
  };
  const answer = (requestId = "") => ({
    requestId,
    decision: "answer" as const,
    answers: ["this"],
    scope: "once" as const,
  });

  test("however long it takes; what was left goes on with the answer", async () => {
    const { events, clock, run, spool } = await start(async (context) => {
      const interrupted = untilInterrupted(context);
      await context.ask({ kind: "question", title: "Which?" });
      return interrupted;
    }, 5_000);
    const [request] = await requestsOf(spool, 1);
    clock.advance(7 * 24 * 3_600_000);
    expect(run.state).toBe("waiting");
    expect(clock.pending).toBe(0);
    expect(run.reply(answer(request))).toEqual({ ok: true });
    clock.advance(4_999);
    expect(run.state).toBe("running");
    clock.advance(1);
    const all = await events();
    expect(ofType(all, "human_loop.resolved")).toEqual([]);
    expect(finishedOf(all)).toMatchObject({ outcome: "timed_out", reason: "timeout" });
  });

  test("the time before the question counts, and of several questions the last answer starts it again", async () => {
    const begin = Promise.withResolvers<void>();
    const { events, clock, run, spool } = await start(async (context) => {
      const interrupted = untilInterrupted(context);
      await begin.promise;
      await Promise.all(["One?", "Two?"].map((title) => context.ask({ kind: "question", title })));
      return interrupted;
    }, 5_000);
    clock.advance(4_000);
    begin.resolve();
    const [one, two] = await requestsOf(spool, 2);
    clock.advance(60_000);
    run.reply(answer(one));
    clock.advance(60_000);
    expect(run.state).toBe("waiting");
    run.reply(answer(two));
    clock.advance(999);
    expect(run.state).toBe("running");
    clock.advance(1);
    expect(finishedOf(await events())).toMatchObject({ outcome: "timed_out" });
  });

  test("a stop while a person is asked leaves no timer", async () => {
    const { events, clock, run } = await start(async ({ ask }) => {
      await ask({ kind: "question", title: "Which?" });
      return ok;
    }, 5_000);
    run.stop();
    const all = await events();
    expect(ofType(all, "human_loop.resolved").map(({ data }) => data.decision)).toEqual(["cancelled"]);
    expect(finishedOf(all)).toEqual({ outcome: "cancelled" });
    expect(clock.pending).toBe(0);
  });
});

test("after 5 s the programs get SIGTERM, with their children", async () => {
  const { run, events, clock, context, dir } = await start(untilInterrupted);
  const child = await spawnShell(context(), dir);
  const exited = new Promise((resolve) => child.once("exit", (_code, signal) => resolve(signal)));
  run.stop();
  clock.advance(STOP_LADDER.terminateAfterMs - 1);
  expect(child.exitCode ?? child.signalCode).toBeNull();
  clock.advance(1);
  expect(await exited).toBe("SIGTERM");
  expect(finishedOf(await events())).toEqual({ outcome: "cancelled" });
});

test("after 10 s the programs that ignore SIGTERM are killed", async () => {
  const { run, events, clock, context, dir } = await start(untilInterrupted);
  const child = await spawnShell(context(), dir, "trap '' TERM");
  const exited = new Promise((resolve) => child.once("exit", (_code, signal) => resolve(signal)));
  run.stop();
  clock.advance(STOP_LADDER.killAfterMs - 1);
  expect(child.signalCode).toBeNull();
  clock.advance(1);
  expect(await exited).toBe("SIGKILL");
  expect(finishedOf(await events())).toEqual({ outcome: "cancelled" });
});

test("another attempt of the same run on the same machine is not touched", async () => {
  const [one, other] = [await start(untilInterrupted), await start(untilInterrupted)];
  const survivor = await spawnShell(other.context(), other.dir);
  one.run.stop();
  await one.events();
  expect(survivor.exitCode ?? survivor.signalCode).toBeNull();
  other.run.stop();
  other.clock.advance(STOP_LADDER.terminateAfterMs);
  await other.events();
});

test("a child that left its process group is found by its mark and ended, too", async () => {
  const { run, events, context, dir } = await start(untilInterrupted);
  const stray = context().spawn("bash", ["-c", "setsid tail -f /dev/null & echo $!"], {
    cwd: dir,
    env: { PATH: process.env.PATH },
    stdio: ["ignore", "pipe", "ignore"],
  });
  let printed = "";
  stray.stdout?.on("data", (part) => {
    printed += part;
  });
  await new Promise((resolve) => stray.once("exit", resolve));
  const pid = Number(printed);
  expect(isAlive(pid)).toBe(true);
  run.stop();
  await events();
  await expect.poll(() => isAlive(pid)).toBe(false);
});

test("a run that does not stop talking is stopped, and its end is still recorded", async () => {
  const endless: Work = async ({ emit, signal, clock }) => {
    emit({ type: "text-start", id: "1" });
    while (!signal.aborted) {
      emit({ type: "text-delta", id: "1", delta: "x".repeat(1_000) });
      (clock as ManualClock).advance(30);
    }
    return ok;
  };
  const { events, spool } = await start(endless, 600_000, 100_000);
  const all = await events();
  expect(finishedOf(all)).toMatchObject({ outcome: "failed", reason: "container_failed" });
  expect(ofType(all, "message.stop")).toHaveLength(1);
  expect(spool.bytes).toBeLessThan(500_000);
});

/** A disk without room; the answer makes some. */
function fill(spool: Spool): () => void {
  const append = spool.append.bind(spool);
  spool.append = () => {
    throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  };
  return () => {
    spool.append = append;
  };
}

const texts = (all: RunEvent[]): string =>
  ofType(all, "message.delta")
    .flatMap(({ data }) => data.chunks.map((chunk) => (chunk.type === "text-delta" ? chunk.delta : "")))
    .join("");

test("on a full disk the run's programs stand still; with room everything is said, in its order", async () => {
  const { events, spool, clock, dir } = await start(async (context) => {
    await new Promise(setImmediate);
    const child = await spawnShell(context, dir);
    pid = child.pid ?? 0;
    context.emit({ type: "text-start", id: "1" });
    makeRoom = fill(spool);
    for (let n = 1; n <= 3; n++) {
      context.emit({ type: "text-delta", id: "1", delta: `${n} ` });
      (clock as ManualClock).advance(100);
    }
    await expect.poll(() => stateOf(pid)[0]).toBe("T");
    (clock as ManualClock).advance(2_000);
    expect(spool.lastN).toBeLessThan(3);
    makeRoom();
    (clock as ManualClock).advance(500);
    await expect.poll(() => stateOf(pid)[0]).toBe("S");
    child.kill("SIGKILL");
    return ok;
  });
  const all = await events();
  expect(texts(all)).toBe("1 2 3 ");
  expect(finishedOf(all)).toMatchObject({ outcome: "succeeded" });
});

test("a run that ends on a full disk is over when its last word is on disk", async () => {
  const { run, events, spool, clock } = await start(async () => {
    await new Promise(setImmediate);
    makeRoom = fill(spool);
    return ok;
  });
  let over = false;
  void run.finished.then(() => {
    over = true;
  });
  await expect.poll(() => run.state).toBe("finished");
  clock.advance(500);
  expect([spool.finished, over]).toEqual([false, false]);
  makeRoom();
  clock.advance(500);
  await run.finished;
  expect(finishedOf(await events())).toMatchObject({ outcome: "succeeded" });
});

test("a run that goes on saying things on a full disk is ended when they cannot be held any more", async () => {
  const { run, events, spool, clock } = await start(async ({ emit, signal }) => {
    await new Promise(setImmediate);
    makeRoom = fill(spool);
    emit({ type: "text-start", id: "1" });
    for (let n = 0; n < 1_000 && !signal.aborted; n++) {
      emit({ type: "text-delta", id: "1", delta: "x".repeat(60_000) });
      (clock as ManualClock).advance(30);
    }
    return ok;
  });
  await expect.poll(() => run.state).toBe("finished");
  makeRoom();
  clock.advance(500);
  const all = await events();
  expect(finishedOf(all)).toMatchObject({ outcome: "failed", evidence: expect.stringContaining("disk was full") });
});

test("a missing program is the child's error, not the run's hang", async () => {
  const { events } = await start(
    (context) =>
      new Promise((resolve) => {
        context
          .spawn("/no/such/program", [], { cwd: "/", env: {} })
          .once("error", ({ message }) => resolve({ ok: false, reason: "cli_missing", evidence: message }));
      }),
  );
  expect(finishedOf(await events())).toMatchObject({
    reason: "cli_missing",
    evidence: expect.stringContaining("ENOENT"),
  });
});

/** A zombie counts as gone. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !stateOf(pid).startsWith("Z");
  } catch {
    return false;
  }
}

function stateOf(pid: number): string {
  return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1] ?? "";
}
