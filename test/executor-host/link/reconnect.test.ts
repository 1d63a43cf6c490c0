import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CLOSE_CODES, type CloseName } from "#protocol/close-codes.ts";
import { LIMITS, TIMES } from "#protocol/limits.ts";
import { backOffMs } from "../../../executor-host/clock.ts";
import { LinkUnderTest, say } from "./link-under-test.ts";

let host: LinkUnderTest;
beforeEach(async () => {
  host = await LinkUnderTest.make();
});
afterEach(() => host.stop());

const rows = Object.entries(CLOSE_CODES) as [CloseName, { code: number; retry: boolean }][];

describe("closes", () => {
  test.each(rows.filter(([, row]) => row.retry))("[P-19] %s: the link comes back", async (name) => {
    await host.up();
    host.peer.close(name);
    await host.redial();
    await host.lives.next();
    expect(host.attempts).toEqual([undefined, name]);
  });

  test.each(rows.filter(([, row]) => !row.retry))("[P-19] %s: the link ends", async (name) => {
    await host.up();
    host.peer.close(name, "because");
    expect(await host.ends.next()).toEqual({ name, reason: "because" });
    expect(host.link.state).toBe("closed");
    expect(host.clock.pending()).toEqual([]);
  });

  test("[P-19] a close is believed at once, also when the peer leaves the connection open", {
    timeout: 5_000,
  }, async () => {
    await host.up();
    host.peer.closeAndStay("stale_epoch");
    expect(await host.ends.next()).toMatchObject({ name: "stale_epoch" });
  });

  test("[P-19] an unknown code is worth another try", async () => {
    await host.up();
    host.peer.closeWith(4999);
    await host.redial();
    await host.lives.next();
    expect(host.attempts).toEqual([undefined, "unknown"]);
  });

  test("[P-10] a stale epoch ends the link and names the current one", async () => {
    host.peer.refuse = "stale_epoch";
    host.peer.refuseReason = "7";
    host.link.start();
    expect(await host.ends.next()).toEqual({ name: "stale_epoch", reason: "7" });
  });

  test("[P-20] a line that is cut without a word loses nothing", async () => {
    host.peer.acknowledges = false;
    await host.up();
    host.link.send(say("before"));
    await host.peer.messages.next();
    host.peer.cut();
    host.link.send(say("after"));
    await host.redial();
    await host.lives.next();
    host.peer.acknowledges = true;
    host.peer.acknowledge();
    await host.link.drained();
    expect(host.peer.messages.all).toEqual([say("before"), say("after")]);
  });

  test("an address that is none is a failed attempt, not the end of the daemon", async () => {
    const { url } = host;
    host.url = "/not/an/address";
    host.link.start();
    await host.clock.until(() => host.link.state === "waiting");
    host.url = url;
    await host.redial();
    await host.lives.next();
  });

  test("[P-9] closed and opened again while it asks where to dial: one connection, not two that throw each other out", async () => {
    const answers: (() => void)[] = [];
    host.beforeTarget = () => new Promise((resolve) => answers.push(resolve));
    host.link.start();
    host.link.close();
    host.link.start();
    expect(answers).toHaveLength(2);
    // The first one's answer comes last.
    for (const answer of answers.reverse()) answer();
    await host.lives.next();
    host.link.send(say("one"));
    await host.link.drained();
    expect(host.peer.connections.all).toHaveLength(1);
    expect(host.link.state).toBe("live");
  });

  test("[R-1.7] sends into a dying socket lead to a reconnect, and every one of them arrives", async () => {
    await host.up();
    host.peer.cut();
    // The socket still looks open here; some of these are written into nothing.
    for (let i = 0; i < 200; i++) host.link.send(say(String(i)));
    await host.redial();
    await host.lives.next();
    await host.link.drained();
    expect(host.peer.messages.all).toHaveLength(200);
  });
});

describe("back-off (R-1.6)", () => {
  test("grows from its base to its ceiling, half of it chance", () => {
    const backOff = { baseMs: 250, maxMs: 15_000 };
    expect([0, 1, 2, 5, 6, 40].map((attempt) => backOffMs(backOff, attempt, 1))).toEqual([
      250, 500, 1000, 8000, 15000, 15000,
    ]);
    expect(backOffMs(backOff, 0, 0)).toBe(125);
  });

  test("hosts that lost the same server come back spread over half of the ceiling, and no two waves alike", () => {
    // A seeded generator, so that a failure can be looked at again (Park and Miller, 1988).
    let seed = 42;
    const chance = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const backOff = { baseMs: 250, maxMs: 15_000 };
    const wave = (attempt: number) => Array.from({ length: 500 }, () => backOffMs(backOff, attempt, chance()));
    for (const attempt of [0, 3, 9]) {
      const ceiling = backOffMs(backOff, attempt, 1);
      const [first, second] = [wave(attempt), wave(attempt)];
      expect(first).not.toEqual(second);
      for (const delays of [first, second]) {
        const tenths = Array.from({ length: 10 }, () => 0);
        for (const delay of delays) {
          const tenth = Math.min(9, Math.floor(((delay - ceiling / 2) / (ceiling / 2)) * 10));
          tenths[tenth] = (tenths[tenth] ?? Number.NaN) + 1;
        }
        // 50 each on average; a tenth of the time that takes twice as many would be a wave of its own.
        expect(Math.min(...tenths)).toBeGreaterThan(20);
        expect(Math.max(...tenths)).toBeLessThan(100);
      }
    }
  });

  test("a server that lets in and throws out at once is not dialled without pause", async () => {
    await host.up();
    const pauses: number[] = [];
    for (let i = 0; i < 4; i++) {
      host.peer.close("going_away");
      await host.clock.until(() => host.link.state === "waiting");
      pauses.push(host.clock.pending()[0] ?? 0);
      host.clock.advance(15_000);
      await host.lives.next();
    }
    expect(pauses).toEqual([188, 375, 750, 1500]);
  });

  test("[P-39] however often a line fails, the host dials again before its lease is lost", async () => {
    await host.up();
    const pauses: number[] = [];
    for (let i = 0; i < 12; i++) {
      host.peer.close("going_away");
      await host.clock.until(() => host.link.state === "waiting");
      pauses.push(host.clock.pending()[0] ?? 0);
      host.clock.advance(pauses.at(-1) ?? 0);
      await host.lives.next();
    }
    // Half of it is chance, which is 0.5 here: this is three quarters of the longest.
    const longestMs = Math.max(...pauses) / 0.75;
    expect(longestMs).toBeLessThan(TIMES.leaseMs - TIMES.linkSilenceMs);
  });

  test("a connection that lasted begins anew", async () => {
    await host.up();
    host.peer.close("going_away");
    await host.redial();
    await host.lives.next();
    host.clock.advance(5_000);
    host.peer.close("going_away");
    await host.clock.until(() => host.link.state === "waiting");
    expect(host.clock.pending()[0]).toBe(188);
  });
});

describe("liveness", () => {
  test("[P-2] pings every 5 s and lives on the answers", async () => {
    await host.up();
    for (let i = 0; i < 6; i++) {
      host.clock.advance(TIMES.pingIntervalMs);
      await host.peer.frames.next((frame) => frame === "ping");
      // The answer has arrived when a message sent after it has.
      host.peer.send(say(String(i)) as never);
      await host.taken.next();
    }
    expect(host.link.state).toBe("live");
    expect(host.attempts).toHaveLength(1);
  });

  test("[P-20] a half-open connection is noticed after 10 s of silence", async () => {
    await host.up();
    host.peer.answersPings = false;
    host.clock.advance(TIMES.linkSilenceMs - 1);
    expect(host.link.state).toBe("live");
    host.clock.advance(1);
    host.peer.answersPings = true;
    await host.redial();
    await host.lives.next();
    expect(host.attempts).toHaveLength(2);
  });

  test("a handshake that gets no answer is given up after 10 s", async () => {
    const { plane } = host;
    plane.data("ses_1").connect = () => {};
    host.link.start();
    await host.clock.timer((delayMs) => delayMs === TIMES.pingIntervalMs);
    host.clock.advance(TIMES.authDeadlineMs);
    await host.clock.until(() => host.link.state === "waiting");
  });
});

describe("poison (R-1.8)", () => {
  const deep = `${"[".repeat(LIMITS.jsonDepth + 2)}${"]".repeat(LIMITS.jsonDepth + 2)}`;
  const poison: [string, string | Buffer, number][] = [
    ["no JSON", "{", 4400],
    ["a frame nobody knows", '{"hello":1}', 4400],
    ["nested too deeply", `{"n":1,"ack":0,"message":${deep}}`, 4400],
    ["binary", Buffer.from([1, 2, 3]), 4400],
    ["a message without its number", '{"ack":0,"message":{"type":"say","text":"lost?"}}', 4400],
    ["a number that is a string", '{"n":"1","ack":0,"message":{"type":"say","text":"lost?"}}', 4400],
    ["less than nothing acknowledged", '{"ack":-1}', 4400],
    ["welcome twice", '{"type":"welcome","protocol":1,"now":1}', 4400],
  ];
  test.each(poison)("[P-1] %s closes with its row, and the next message is taken", async (_name, frame, code) => {
    await host.up();
    host.peer.raw(frame);
    expect(await host.peer.closes.next()).toMatchObject({ code });
    host.peer.send(say("innocent") as never);
    await host.redial();
    expect(await host.taken.next()).toEqual(say("innocent"));
  });

  test("[P-15] a message that is not understood counts as taken and does not break the next one", async () => {
    host.onTake = (message) => {
      if (message.type === "strange") throw new Error("not understood");
    };
    await host.up();
    host.peer.send({ type: "strange" } as never);
    host.peer.send(say("innocent") as never);
    expect(await host.taken.next()).toEqual(say("innocent"));
    expect(host.outbox.position().taken).toBe(2);
    expect(host.attempts).toHaveLength(1);
  });

  test("an error frame of the server is logged and changes nothing", async () => {
    await host.up();
    host.peer.raw('{"type":"error","reason":"not_understood","message":"?"}');
    host.peer.send(say("a") as never);
    expect(await host.taken.next()).toEqual(say("a"));
  });
});
