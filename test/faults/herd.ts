/** Hosts that lose their connections in the same moment and come back at once, with the leases that some of them hold. */
import { performance } from "node:perf_hooks";
import type { ScriptedHost } from "../support/scripted-host.ts";
import type { Fault, Form, Trial } from "./fault.ts";
import { type Asked, accepted, finished, flaws, leave, type Mouth, numbered, Offers, Pool } from "./pool.ts";

const HOSTS: Record<Form, number> = { long: 500, short: 60 };
/** Hosts that hold a lease with a run under way. */
const LEASES = 10;
/** While the stage is set. */
const AT_ONCE = 20;

export const herd: Fault = {
  name: "herd",
  how: `${HOSTS.long} hosts (${HOSTS.short} in the short form), ${LEASES} of them with a run under way, lose their connections in one moment and dial again without any back-off, which is worse than any crowd of real hosts: each is let in, no lease is lost or doubled, every run goes on and ends, nothing of it is lost or doubled`,
  trials: { long: 20, short: 1 },
  async open(form) {
    const pool = await Pool.open();
    const hosts: ScriptedHost[] = [];
    while (hosts.length < HOSTS[form]) {
      const some = Array.from({ length: Math.min(AT_ONCE, HOSTS[form] - hosts.length) }, (_none, index) =>
        pool.host({ name: `h${hosts.length + index}`, slots: hosts.length + index < LEASES ? 1 : 0 }),
      );
      hosts.push(...(await Promise.all(some)));
    }
    const offers = new Offers();
    for (const host of hosts.slice(0, LEASES)) offers.follow(host);
    return { trial: () => stampede(pool, hosts, offers), dispose: () => pool.dispose() };
  },
};

type Begun = Asked & { mouth: Mouth };

async function begun(pool: Pool, offers: Offers): Promise<Begun> {
  const asked = await pool.asked();
  const { runId, sessionId } = asked;
  const mouth = await accepted(await offers.next(sessionId));
  await mouth.link.message("run.start");
  mouth.send({ type: "worker.status", state: "active" });
  await mouth.told({ type: "run.started", runId });
  return { ...asked, mouth };
}

async function stampede(pool: Pool, hosts: readonly ScriptedHost[], offers: Offers): Promise<Trial> {
  const violations: string[] = [];
  const running: Begun[] = [];
  for (let index = 0; index < LEASES; index++) running.push(await begun(pool, offers));
  const began = performance.now();
  for (const { control } of hosts) control.socket.terminate();
  for (const { mouth } of running) mouth.link.socket.terminate();
  const links = await Promise.all(
    hosts.map((host) => {
      const held = running.filter(({ mouth }) => mouth.host === host).map(({ mouth }) => mouth.assignment);
      return host.reconnect(held.map(({ sessionId, epoch }) => ({ sessionId, epoch })));
    }),
  );
  for (const host of hosts.slice(0, LEASES)) offers.follow(host);
  const recoveryMs = performance.now() - began;
  await Promise.all(running.map(({ mouth }) => mouth.resume()));
  const { hosts: known } = (await (await pool.plane.call("/api/hosts")).json()) as {
    hosts: { id: string; status: string; leases: number }[];
  };
  for (const { id, options } of hosts) {
    const { status, leases } = known.find((each) => each.id === id) ?? {};
    const expected = running.filter(({ mouth }) => mouth.host.id === id).length;
    if (status !== "online" || leases !== expected)
      violations.push(`${options.name} is ${status} with ${leases} leases, not online with ${expected}`);
  }
  for (const link of links)
    if (JSON.stringify(link.frames).includes("lease.revoked")) violations.push("a lease was revoked");
  for (const { mouth, page, runId } of running) {
    await mouth.told({ type: "run.events", runId, events: [numbered(1), finished] });
    await page.until("the end", (view) => view.runs[0]?.state === "finished");
    violations.push(...flaws(page.events, runId, 1));
    await leave({ mouth, page });
  }
  return { violations, recoveryMs };
}
