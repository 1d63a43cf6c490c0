/**
 * The platform promises an alarm at least once, and there are reports of ones that never rang. Sessions with a run whose
 * time is over: the alarm comes late, then once more, and for others not at all.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { deadlineName } from "../../durable/session/commands.ts";
import type { Random } from "../fuzz/random.ts";
import { Page } from "../support/live-session.ts";
import { type ScriptedHost, within } from "../support/scripted-host.ts";
import type { Fault, Trial } from "./fault.ts";
import { ending, flaws, numbered, Pool, type Running } from "./pool.ts";

/** How the run of each ends, whatever way its deadline was kept. */
const ENDED = "timed_out timeout";

export const alarms: Fault = {
  name: "alarms",
  how: "a run's deadline passes while the control plane is down; the alarm of one session comes an hour late, then once more with the same deadline due, that of a second is lost in the scheduler, that of a third altogether: each run ends once with timed_out, the first by itself, the others by POST /api/reconcile/runs, and a second ring or sweep changes nothing; recovery is from the start of the control plane to the late ring's event",
  trials: { long: 20, short: 1 },
  async open() {
    const stateDir = mkdtempSync(join(tmpdir(), "gantry-alarms-"));
    const pool = await Pool.open({ stateDir });
    const host = await pool.host();
    return {
      trial: (random) => spoil(pool, host, random),
      dispose: async () => {
        await pool.dispose();
        rmSync(stateDir, { recursive: true, force: true });
      },
    };
  },
};

async function spoil(pool: Pool, host: ScriptedHost, random: Random): Promise<Trial> {
  const violations: string[] = [];
  host.origin = pool.plane.url;
  await host.connect([], host.control.taken);
  const said = random.int(0, 20);
  const [late, unscheduled, lost] = [
    await speaking(pool, host, said),
    await speaking(pool, host, said),
    await speaking(pool, host, said),
  ];
  const timeout = (of: Running) => [deadlineName.timeout(of.runId)];

  await pool.restarted((state) => {
    for (const each of [late, unscheduled, lost]) state.ringAlarm(each.sessionId, timeout(each));
    state.forgetAlarm(unscheduled.sessionId, "scheduler");
    state.forgetAlarm(lost.sessionId, "altogether");
  });
  const began = performance.now();
  const watching = await Page.open(pool.plane, late.sessionId);
  await watching.until("the late alarm", (view) => view.runs[0]?.state === "finished");
  const recoveryMs = performance.now() - began;

  const mended = await sweep(pool);
  for (const { sessionId } of [unscheduled, lost])
    if (!mended.some((each) => each.sessionId === sessionId && /^alarm_/.test(each.what)))
      violations.push(`the sweep did not say that the alarm was lost: ${JSON.stringify(mended)}`);
  const again = await sweep(pool);
  if (again.length > 0) violations.push(`the second sweep found ${JSON.stringify(again)}`);
  const before = await logs(pool, [late, unscheduled, lost], said, violations);

  // A row that the ring puts right tells that it rang; nobody else touches the objects meanwhile.
  const ids = [late.sessionId, unscheduled.sessionId];
  for (const id of ids) await pool.plane.query("UPDATE sessions SET title = 'old', version = 0 WHERE id = ?", id);
  await pool.restarted((state) => {
    for (const each of [late, unscheduled]) {
      state.ringAlarm(each.sessionId, timeout(each));
      state.session(each.sessionId, (sql) =>
        sql.exec(`INSERT OR REPLACE INTO outbox VALUES ('index/session', '{"kind":"session"}', 0, 1, 1)`),
      );
    }
  });
  await within(rang(pool, ids), () => "the alarm to ring once more");
  const after = await logs(pool, [late, unscheduled, lost], said, violations);
  if (String(before) !== String(after)) violations.push(`a second ring changed the logs: ${before} to ${after}`);
  return { violations, recoveryMs };
}

async function speaking(pool: Pool, host: ScriptedHost, said: number): Promise<Running> {
  const running = await pool.running(host);
  for (let k = 1; k <= said; k++)
    running.mouth.send({ type: "run.events", runId: running.runId, events: [numbered(k)] });
  await running.mouth.drained();
  return running;
}

/** Looks at each log with a page of its own; answers how long they are. */
async function logs(pool: Pool, all: Running[], said: number, violations: string[]): Promise<number[]> {
  const lengths: number[] = [];
  for (const { sessionId, runId } of all) {
    const page = await Page.open(pool.plane, sessionId);
    if (ending(page) !== ENDED) violations.push(`a run ended ${ending(page)}`);
    violations.push(...flaws(page.events, runId, said));
    lengths.push(page.events.filter((event) => event.runId === runId).length);
    page.close();
  }
  return lengths;
}

type Found = { what: string; sessionId?: string };

/** Every step of `POST /api/reconcile/runs`; answers what was found. */
async function sweep(pool: Pool): Promise<Found[]> {
  const found: Found[] = [];
  let cursor: string | undefined;
  do {
    const body = cursor ? { cursor } : {};
    const response = await pool.plane.call("/api/reconcile/runs", { method: "POST", body });
    const answer = (await response.json()) as { reports: { findings: Found[] }[]; nextCursor?: string };
    if (!response.ok) throw new Error(`the sweep answered ${response.status} ${JSON.stringify(answer)}`);
    found.push(...answer.reports.flatMap(({ findings }) => findings));
    cursor = answer.nextCursor;
  } while (cursor);
  return found;
}

async function rang(pool: Pool, ids: string[]): Promise<void> {
  const old = `SELECT id FROM sessions WHERE title = 'old' AND id IN (${ids.map(() => "?")})`;
  while ((await pool.plane.query(old, ...ids)).length > 0) await delay(20);
}
