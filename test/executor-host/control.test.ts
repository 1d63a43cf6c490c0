import { afterEach, describe, expect, test } from "vitest";
import { TIMES } from "#protocol/limits.ts";
import { HeldClock } from "../support/held-clock.ts";
import { finished, HostUnderTest, SESSION } from "./session/host-under-test.ts";

let under: HostUnderTest;
afterEach(() => under.stop());

const other = (n: number) => `ses_${String(n).repeat(20)}`;

describe("coming in", () => {
  test("[P-7] the first connection carries the ticket, later ones do not", async () => {
    const clock = new HeldClock();
    under = await HostUnderTest.start({ clock });
    const { control } = under.plane;
    expect((await control.connections.next()).path).toBe("/control?ticket=1");
    control.cut();
    await clock.timer((delayMs) => delayMs < 1_000);
    clock.advance(1_000);
    const again = await control.connections.next();
    expect(again.path).toBe("/control");
    expect(again.auth.token).toBe("token-1");
  });

  test("[R-1.5] a token that is refused is replaced by a new one, and the host stays", async () => {
    const clock = new HeldClock();
    under = await HostUnderTest.start({ clock });
    const { control } = under.plane;
    control.close("auth_rejected");
    await clock.timer((delayMs) => delayMs < 1_000);
    clock.advance(1_000);
    await control.connections.next(({ auth }) => auth.token === "token-2");
  });

  test("[P-18] the token is renewed over the link at half of its life and used from then on", async () => {
    const clock = new HeldClock();
    under = await HostUnderTest.start({ clock, tokenLifeMs: 24_000 });
    const { control } = under.plane;
    // On the way the line is heard, or it would be taken for dead.
    clock.advance(6_000);
    await clock.timer((delayMs) => delayMs === TIMES.linkSilenceMs);
    clock.advance(5_999);
    expect(control.messages.all.some(({ type }) => type === "token.renew")).toBe(false);
    clock.advance(1);
    await control.messages.next(({ type }) => type === "token.renew");
    control.send({ type: "token", token: "renewed", expiresAt: clock.now() + TIMES.tokenMs });
    under.plane.control.send({ type: "assign", assignment: under.plane.assignment(SESSION) });
    expect((await under.data().connections.next()).auth).toMatchObject({ token: "renewed", epoch: 1 });
    expect(under.plane.tokens).toBe(1);
  });

  test("[P-6] a host that was removed stops dialling and says so", async () => {
    under = await HostUnderTest.start();
    under.plane.control.close("gone", "this host was removed; join again");
    expect(await under.ends.next()).toEqual({ name: "gone", reason: "this host was removed; join again" });
  });

  test("[R-1.2] a control plane that does not know the host ends it at the next connect", async () => {
    const clock = new HeldClock();
    under = await HostUnderTest.start({ clock });
    under.plane.refuseConnect = { status: 404, reason: "host_unknown" };
    under.plane.control.close("auth_rejected");
    await clock.timer((delayMs) => delayMs < 1_000);
    clock.advance(1_000);
    expect(await under.ends.next()).toMatchObject({ name: "gone" });
  });

  test("facts are told at every connection", async () => {
    const clock = new HeldClock();
    under = await HostUnderTest.start({ clock });
    under.plane.control.cut();
    await clock.timer((delayMs) => delayMs < 1_000);
    clock.advance(1_000);
    const facts = await under.plane.control.messages.next(({ type }) => type === "facts");
    expect(facts).toMatchObject({
      facts: {
        name: "test",
        vmModes: ["process"],
        providers: { scripted: { state: "ready" } },
        labels: { zone: "a" },
        slots: 2,
      },
    });
  });
});

describe("offers", () => {
  test("no free slot, a mode that is not here: rejected with the reason", async () => {
    under = await HostUnderTest.start();
    const { control } = under.plane;
    await under.lease(1, other(1));
    await under.lease(1, other(2));
    control.send({ type: "assign", assignment: under.plane.assignment(other(3)) });
    const full = await control.messages.next(({ type }) => type === "assign.reject");
    expect(full).toMatchObject({ sessionId: other(3), reason: "all 2 slots are taken" });
    control.send({ type: "assign", assignment: under.plane.assignment(other(2), 2, "firecracker") });
    const mode = await control.messages.next(({ type }) => type === "assign.reject");
    expect(mode).toMatchObject({ reason: "this host cannot start firecracker workers" });
  });

  test("the same offer again is accepted again; nothing else happens", async () => {
    under = await HostUnderTest.start();
    await under.lease();
    under.plane.control.send({ type: "assign", assignment: under.plane.assignment(SESSION) });
    await under.plane.control.messages.next(({ type }) => type === "assign.accept");
    expect(under.data().connections.all).toHaveLength(1);
  });

  test("a newer epoch of a session that is held here: the old worker is gone before the new one starts", async () => {
    under = await HostUnderTest.start();
    const data = await under.lease();
    await under.run();
    data.forget();
    await under.lease(2);
    await under.run();
    expect(under.engine.journal.filter((line) => !line.startsWith("sync"))).toEqual([
      `start ${SESSION} 1`,
      `remove ${SESSION} 1`,
      `start ${SESSION} 2`,
    ]);
  });
});

describe("verbs", () => {
  test("drain: no new work, the run may end, then the session is saved and given back", async () => {
    under = await HostUnderTest.start();
    const { control } = under.plane;
    await under.lease();
    const { runId, worker } = await under.run();
    control.send({ type: "drain", reason: "maintenance" });
    const facts = await control.messages.next((m) => m.type === "facts" && m.facts.slots === 0);
    expect(facts).toMatchObject({ leases: [{ sessionId: SESSION }] });
    control.send({ type: "assign", assignment: under.plane.assignment(other(4)) });
    await control.messages.next((m) => m.type === "assign.reject" && m.reason === "this host is draining");
    expect(under.engine.journal.some((line) => line.startsWith("remove"))).toBe(false);
    worker.runner.emit(runId, finished);
    await control.messages.next(({ type }) => type === "lease.release");
    expect(under.engine.journal.at(-2)).toBe(`remove ${SESSION} 1`);
  });

  test("[F-13] a host that was drained takes work again when the pool says so", async () => {
    under = await HostUnderTest.start();
    const { control } = under.plane;
    control.send({ type: "drain", reason: "maintenance" });
    await control.messages.next((m) => m.type === "facts" && m.facts.slots === 0);
    control.send({ type: "drain.over" });
    await control.messages.next((m) => m.type === "facts" && m.facts.slots === 2);
    expect(under.host.status().draining).toBe(false);
    await under.lease();
  });

  test("[F-13] a host that is leaving for good does not stay because the pool says so", async () => {
    under = await HostUnderTest.start();
    const { control } = under.plane;
    await under.lease();
    const { runId, worker } = await under.run();
    const left = under.host.drain("drained by the operator");
    control.send({ type: "drain", reason: "maintenance" });
    control.send({ type: "drain.over" });
    control.send({ type: "assign", assignment: under.plane.assignment(other(4)) });
    await control.messages.next((m) => m.type === "assign.reject" && m.reason === "this host is draining");
    worker.runner.emit(runId, finished);
    await left;
  });

  test("cancelAll: runs are stopped, sessions saved and given back; resolves when the pool knows", async () => {
    under = await HostUnderTest.start();
    await under.lease();
    const { runId, worker } = await under.run();
    const done = under.host.cancelAll("shutdown");
    await worker.runner.calls.next(({ path }) => path.endsWith("/stop"));
    worker.runner.emit(runId, { type: "run.finished", data: { outcome: "cancelled" } });
    await done;
    expect(under.plane.control.messages.all.at(-1)).toMatchObject({ type: "lease.release" });
  });

  test("[R-1.9] config_update reaches a live host; a setting that is wrong leaves the others alone", async () => {
    under = await HostUnderTest.start();
    under.plane.control.send({ type: "config_update", config: { slots: 5, image: 7, nonsense: true } });
    const facts = await under.plane.control.messages.next((m) => m.type === "facts" && m.facts.slots === 5);
    expect(facts.type).toBe("facts");
  });
});
