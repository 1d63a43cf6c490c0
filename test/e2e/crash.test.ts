/** Parts of Gantry are killed in the middle of a run. It goes on and ends; nothing is lost, nothing is doubled. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SessionEvent } from "#protocol/events.ts";
import { ensureBaseImage } from "../support/docker-image.ts";
import { Gantry } from "../support/gantry.ts";

const DELTAS = 150;
let gantry: Gantry;

beforeAll(async () => {
  gantry = await Gantry.start({ GANTRY_IMAGE: await ensureBaseImage() });
});
afterAll(async () => gantry?.dispose());

/** A run that streams for about four seconds; answers when some of it has arrived. */
async function streaming(): Promise<{ runId: string; sessionId: string }> {
  const ids = await gantry.json<{ runId: string; sessionId: string }>("/api/runs/queue/enqueue", {
    method: "POST",
    body: { prompt: `stream ${DELTAS} 25\nwrite end.txt the end\nsay The end.` },
  });
  await expect
    .poll(async () => (await events(ids.sessionId)).some((event) => event.type === "message.delta"), {
      timeout: 60_000,
      interval: 100,
    })
    .toBe(true);
  return ids;
}

/** Everything in the log now; while the control plane is away: nothing yet. */
async function events(sessionId: string): Promise<SessionEvent[]> {
  try {
    const response = await gantry.call(`/api/sessions/${sessionId}/stream`, { signal: AbortSignal.timeout(5_000) });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const last = (await gantry.json<{ cursor: number }>(`/api/sessions/${sessionId}`)).cursor;
    let text = "";
    while (reader && !text.includes(`\nid: ${last}\n`) && !text.startsWith(`id: ${last}\n`)) {
      const { value, done } = await reader.read();
      if (done) break;
      text += value;
    }
    await reader?.cancel();
    return [...text.matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1] ?? "null") as SessionEvent);
  } catch (error) {
    if (error instanceof Error) return [];
    throw error;
  }
}

async function ended(runId: string): Promise<{ state: string; outcome?: string; attempts: number }> {
  type Run = { state: string; outcome?: string; attempts: number };
  let run: Run = { state: "", attempts: 0 };
  const ask = async () => {
    const response = await gantry.call(`/api/runs/${runId}`).catch(() => undefined);
    if (response?.ok) run = ((await response.json()) as { run: Run }).run;
    return run.state;
  };
  await expect.poll(ask, { timeout: 60_000, interval: 200 }).toBe("finished");
  return run;
}

/** The run's deltas, each once and in order, and one end. */
async function expectWhole(sessionId: string, runId: string): Promise<void> {
  const all = await events(sessionId);
  // A message that is over is folded: one event covers what its deltas were, from `from` to `seq`.
  expect(all.map((event) => event.from ?? event.seq)).toEqual([1, ...all.slice(0, -1).map((event) => event.seq + 1)]);
  const mine = all.filter((event) => event.runId === runId);
  const pieces = mine.flatMap((event) =>
    event.type === "message.delta"
      ? event.data.chunks.flatMap((chunk) => (chunk.type === "text-delta" ? [chunk.delta] : []))
      : [],
  );
  const text = pieces.join("");
  const numbers = [...text.matchAll(/\d+/g)].map((match) => Number(match[0]));
  expect(numbers).toEqual(numbers.map((_number, index) => (numbers[0] ?? 0) + index));
  expect(numbers).toHaveLength(DELTAS);
  expect(text).toContain("The end.");
  expect(mine.filter((event) => event.type === "run.finished")).toHaveLength(1);
}

test("[R-3.4] SIGKILL of workerd in the middle of a run", async () => {
  const { runId, sessionId } = await streaming();
  const [workerd] = gantry.processes("workerd", "serve");
  expect(workerd).toBeDefined();
  process.kill(workerd as number, "SIGKILL");
  expect(await ended(runId)).toMatchObject({ outcome: "succeeded", attempts: 1 });
  await expectWhole(sessionId, runId);
});

test("[R-3.4] SIGKILL of the host daemon: the runner goes on, the next daemon finds it", async () => {
  const { runId, sessionId } = await streaming();
  const before = gantry.containers();
  const [daemon] = gantry.processes("gantry", "host", "run");
  expect(daemon).toBeDefined();
  process.kill(daemon as number, "SIGKILL");
  expect(await ended(runId)).toMatchObject({ outcome: "succeeded", attempts: 1 });
  await expectWhole(sessionId, runId);
  expect(gantry.containers()).toEqual(expect.arrayContaining(before));
  await expect
    .poll(async () => (await gantry.call(`/api/files/download?sessionId=${sessionId}&path=end.txt`)).ok, {
      timeout: 20_000,
      interval: 200,
    })
    .toBe(true);
});

test("[R-5.7] SIGKILL of the container: the run says why it failed, and the session goes on", async () => {
  const { runId, sessionId } = await streaming();
  const { execFileSync } = await import("node:child_process");
  const id = execFileSync("docker", ["ps", "-q", "--filter", `label=gantry.session=${sessionId}`], {
    encoding: "utf8",
  }).trim();
  execFileSync("docker", ["kill", id]);
  expect(await ended(runId)).toMatchObject({ outcome: "failed", reason: "container_failed" });
  const again = await gantry.run({ sessionId, prompt: "say Still here." });
  expect(again).toMatchObject({ ok: true, outcome: "succeeded", text: "Still here." });
});

test("[R-10.4] Ctrl-C leaves no process and no container; a second start picks up where the first stopped", async () => {
  const { sessionId } = await gantry.run({ prompt: "write kept.txt kept" });
  const first = gantry.started;
  const pids = gantry.processes();
  expect(pids.length).toBeGreaterThan(2);
  expect(await gantry.stop()).toBe(0);
  expect(gantry.containers()).toEqual([]);
  expect(pids.filter((pid) => alive(pid))).toEqual([]);
  const second = await gantry.start();
  expect(second).toMatchObject({ hostId: first.hostId, serviceToken: first.serviceToken });
  const read = await gantry.run({ sessionId, prompt: "read kept.txt\nsay It is all there." });
  expect(read.outcome).toBe("succeeded");
  expect(await (await gantry.call(`/api/files/download?sessionId=${sessionId}&path=kept.txt`)).text()).toContain(
    "kept",
  );
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}
