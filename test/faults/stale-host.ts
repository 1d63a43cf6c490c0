/** A host that has lost its lease, and does not know it, speaks on as if it had it. */
import { performance } from "node:perf_hooks";
import type { Random } from "../fuzz/random.ts";
import { within } from "../support/scripted-host.ts";
import type { Fault, Trial } from "./fault.ts";
import {
  accepted,
  ending,
  finished,
  flaws,
  forgetLeases,
  leave,
  type Mouth,
  numbered,
  type Offer,
  Offers,
  Pool,
} from "./pool.ts";

const STALE = 4412;
const LATE = 999;
const HASH = "a".repeat(64);

export const staleHost: Fault = {
  name: "stale-host",
  how: "a lease is lost after a number of events that the seed chooses, and another holds the session; the old holder then sends an event, a completion and a heartbeat on its socket, dials again, claims, releases and confirms its old epoch, and uploads a pack and a snapshot: all refused, it learns the current epoch, and the new lease is untouched",
  trials: { long: 40, short: 2 },
  note: (figures) => `stale writes refused: ${figures.reduce((sum, { refused = 0 }) => sum + refused, 0)}`,
  async open() {
    const pool = await Pool.open();
    const offers = new Offers();
    for (const name of ["a", "b"]) offers.follow(await pool.host({ name }));
    return { trial: (random) => oust(pool, offers, random), dispose: () => pool.dispose() };
  },
};

async function oust(pool: Pool, offers: Offers, random: Random): Promise<Trial> {
  const violations: string[] = [];
  let refused = 0;
  const { page, runId, sessionId } = await pool.asked({ retryOn: ["host_lost"] });
  const old = await accepted(await offers.next(sessionId));
  const said = random.int(0, 30);
  old.send({ type: "run.started", runId });
  for (let k = 1; k <= said; k++) old.send({ type: "run.events", runId, events: [numbered(k)] });
  await old.drained();
  const began = performance.now();
  await forgetLeases(old.host, offers);
  // Still under way while the lease is taken away: taken before that, or not at all.
  old.send({ type: "run.events", runId, events: [numbered(LATE)] });
  old.send({ type: "run.events", runId, events: [finished] });
  const holder = await accepted(await offers.next(sessionId));
  await holder.link.message("run.start");

  const stale = { host: old.host, assignment: old.assignment };
  const acts: (() => Promise<string | undefined>)[] = [
    () => dialsAgain(stale, holder.assignment.epoch),
    () => speaksOn(old, runId),
    () => claimsOnControl(stale),
    () => uploads(pool, stale, "packs/missing", JSON.stringify({ packs: [HASH] })),
    () => uploads(pool, stale, `packs/${HASH}`, "pack"),
    () => uploads(pool, stale, "snapshots", "manifest"),
  ];
  for (const act of acts.sort(() => random.next() - 0.5)) {
    const accepted = await act();
    if (accepted) violations.push(accepted);
    else refused++;
  }
  const recoveryMs = performance.now() - began;

  // The new holder's lease is what it was: it goes on from where the run begins again.
  const log = page.events.length;
  holder.send({ type: "run.started", runId });
  for (let k = said + 1; k <= said + 5; k++) holder.send({ type: "run.events", runId, events: [numbered(k)] });
  await holder.told({ type: "run.events", runId, events: [finished] });
  await page.until("the end", (view) => view.runs[0]?.state === "finished");
  if (ending(page) !== "succeeded") violations.push(`the run ended ${ending(page)}`);
  const texts = page.events.map((event) => JSON.stringify(event));
  const late = texts.findIndex((text) => text.includes(`#${LATE}#`));
  const again = texts.findIndex((text) => text.includes('"queued"') && text.includes('"attempt"'));
  if (late >= 0 && late >= log) violations.push("a stale event was stored");
  if (late >= 0 && again >= 0 && late > again)
    violations.push("an event of the old lease came after the run was queued again");
  const without = page.events.filter((event) => !JSON.stringify(event).includes(`#${LATE}#`));
  violations.push(...flaws(without, runId, said + 5).filter((each) => !each.includes("follows") || late < 0));
  await leave({ mouth: holder, page });
  return { violations, recoveryMs, figures: { refused } };
}

/** Each answers what was accepted that should not have been. */
async function dialsAgain({ host, assignment }: Offer, current: number): Promise<string | undefined> {
  const link = await host.dial(assignment);
  link.frame({ type: "auth", token: host.token, protocol: 1, epoch: assignment.epoch });
  const { code, reason } = await within(link.closed, () => "the stale dial to be closed");
  if (code !== STALE) return `a stale dial was closed with ${code}`;
  return reason.includes(String(current)) ? undefined : `a stale dial was told "${reason}", not the epoch ${current}`;
}

async function speaksOn(old: Mouth, runId: string): Promise<string | undefined> {
  const { code } = await within(old.link.closed, () => "the stale socket to be closed");
  if (code !== STALE) return `the stale socket was closed with ${code}`;
  // A host that is slow to notice; the bytes have nowhere to go.
  old.keep({ type: "run.events", runId, events: [numbered(LATE)] });
  return undefined;
}

async function claimsOnControl({ host, assignment }: Offer): Promise<string | undefined> {
  const { sessionId, epoch } = assignment;
  host.control.send({ type: "lease.release", sessionId, epoch });
  host.control.send({ type: "assign.reject", sessionId, epoch, reason: "late" });
  host.control.send({ type: "assign.accept", sessionId, epoch });
  const revoked = await host.control.next(
    ({ message }) =>
      (message as { type?: string; epoch?: number } | undefined)?.type === "lease.revoked" &&
      (message as { epoch: number }).epoch === epoch,
  );
  return revoked ? undefined : "a stale claim was not revoked";
}

async function uploads(
  pool: Pool,
  { host, assignment }: Offer,
  path: string,
  body: string,
): Promise<string | undefined> {
  const store = new URL(assignment.storeUrl, pool.plane.url).href;
  const response = await fetch(`${store}/${path}?epoch=${assignment.epoch}`, {
    method: path.startsWith("packs/a") ? "PUT" : "POST",
    headers: {
      authorization: `Bearer ${host.token}`,
      ...(path === "packs/missing" && { "content-type": "application/json" }),
    },
    body,
  });
  const text = await response.text();
  return response.status === 409 && text.includes("epoch") ? undefined : `${path}: HTTP ${response.status} ${text}`;
}
