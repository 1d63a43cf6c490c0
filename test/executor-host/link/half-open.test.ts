/** A line that is dead in one direction or both, and says nothing of it. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TIMES } from "#protocol/limits.ts";
import { watchLiveness } from "../../../executor-host/link/liveness.ts";
import { type Dead, FreezingProxy } from "../../support/freezing-proxy.ts";
import { HeldClock } from "../../support/held-clock.ts";
import { LinkUnderTest, say } from "./link-under-test.ts";

test("[P-39] a host is back before its lease is lost: it notices two missing answers, and its first try takes a moment", () => {
  expect(TIMES.linkSilenceMs).toBeGreaterThanOrEqual(2 * TIMES.pingIntervalMs);
  expect(TIMES.leaseMs - TIMES.linkSilenceMs).toBeGreaterThanOrEqual(5_000);
});

describe("[P-39] [P-2] silence, to the moment", () => {
  /** What happened so far, with the time of each. */
  function watched() {
    const clock = new HeldClock(0);
    const pings: number[] = [];
    const deaths: number[] = [];
    const liveness = watchLiveness(
      clock,
      () => pings.push(clock.now()),
      () => deaths.push(clock.now()),
    );
    return { clock, pings, deaths, liveness };
  }

  test.each([0, 1, 1_700, 4_999])("the last word came %i ms after a ping", (afterPingMs) => {
    const { clock, pings, deaths, liveness } = watched();
    clock.advance(TIMES.pingIntervalMs + afterPingMs);
    liveness.heard();
    clock.advance(TIMES.linkSilenceMs - 1);
    expect(deaths).toEqual([]);
    clock.advance(1);
    expect(deaths).toEqual([TIMES.pingIntervalMs + afterPingMs + TIMES.linkSilenceMs]);
    expect(pings.slice(0, 2)).toEqual([5_000, 10_000]);
  });

  test("one that was given up is neither pinged nor reported again", () => {
    const { clock, pings, deaths, liveness } = watched();
    clock.advance(TIMES.linkSilenceMs);
    const sent = pings.length;
    liveness.heard();
    clock.advance(10 * TIMES.linkSilenceMs);
    expect(deaths).toEqual([TIMES.linkSilenceMs]);
    expect(pings).toHaveLength(sent);
    expect(clock.pending()).toEqual([]);
  });

  test("one that was left is not reported", () => {
    const { clock, deaths, liveness } = watched();
    liveness.stop();
    clock.advance(10 * TIMES.linkSilenceMs);
    expect(deaths).toEqual([]);
  });
});

describe("a real line", () => {
  let host: LinkUnderTest;
  let line: FreezingProxy;
  beforeEach(async () => {
    host = await LinkUnderTest.make();
    line = await FreezingProxy.listen(host.plane.url);
    host.url = line.through(host.url).replace(/^http/, "ws");
  });
  afterEach(async () => {
    // First: the server's end of a dead line would never close.
    await line.close();
    await host.stop();
  });

  test.each<Dead>(["up", "down", "both"])(
    "[P-39] [P-12] dead %s: the host dials again 10 s after the last word, and nothing is lost or doubled",
    async (dead) => {
      await host.up();
      host.link.send(say("before"));
      await host.link.drained();
      host.clock.advance(7_000);
      host.peer.send(say("heard") as never);
      await host.taken.next();
      line.freeze(dead);
      host.link.send(say("into nothing"));
      host.peer.send(say("out of nothing") as never);
      // Dead upwards, the server's words still come: then it is the missing answers that tell.
      if (dead === "up") await host.taken.next();
      host.clock.advance(TIMES.linkSilenceMs - 1);
      expect(host.link.state).toBe("live");
      host.clock.advance(1);
      await host.redial();
      await host.lives.next();
      await host.link.drained();
      if (dead !== "up") await host.taken.next();
      expect(host.peer.messages.all).toEqual([say("before"), say("into nothing")]);
      expect(host.taken.all).toEqual([say("heard"), say("out of nothing")]);
      expect(host.attempts).toHaveLength(2);
    },
  );
});
