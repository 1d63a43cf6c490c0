/** A host's process is killed: its sockets close at once, and what it has not begun need not wait for its leases to end. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { TIMES } from "#protocol/limits.ts";
import { accepted, Offers, Pool } from "../../faults/pool.ts";
import type { ScriptedHost } from "../../support/scripted-host.ts";
import { sharedControlPlane } from "../../support/shared-control-plane.ts";

let pool: Pool;
const hosts: ScriptedHost[] = [];
const offers = new Offers();

beforeAll(async () => {
  Pool.start = sharedControlPlane;
  pool = await Pool.open();
  for (const name of ["a", "b"]) {
    const host = await pool.host({ name });
    offers.follow(host);
    hosts.push(host);
  }
});
afterAll(async () => pool?.dispose());

test("[F-20] [S-14] a run that a killed host had not begun goes to another host at once; one that it had begun stays", async () => {
  const first = await pool.asked();
  const mouth = await accepted(await offers.next(first.sessionId));
  await mouth.link.message("run.start");
  await mouth.told({ type: "run.accepted", runId: first.runId });
  // Another session's run, which the same host has begun.
  let begun = await pool.asked();
  let its = await accepted(await offers.next(begun.sessionId));
  while (its.host !== mouth.host) {
    begun = await pool.asked();
    its = await accepted(await offers.next(begun.sessionId));
  }
  its.send({ type: "worker.status", state: "active" });
  await its.told({ type: "run.started", runId: begun.runId });
  await begun.page.until("the start", (view) => view.runs[0]?.state === "running");
  const killedAt = Date.now();
  for (const { socket } of [mouth.host.control, mouth.link, its.link]) socket.terminate();
  const again = await offers.next(first.sessionId);
  expect(again.host).not.toBe(mouth.host);
  expect(again.assignment.epoch).toBeGreaterThan(mouth.assignment.epoch);
  // Long before the lease would have ended by itself.
  expect(Date.now() - killedAt).toBeLessThan(TIMES.leaseMs - 3_000);
  const other = await accepted(again);
  await other.link.message("run.start");
  expect(first.page.view.runs[0]).toMatchObject({ attempt: 2 });
  expect(begun.page.view).toMatchObject({ epoch: its.assignment.epoch, runs: [{ state: "running" }] });
});
