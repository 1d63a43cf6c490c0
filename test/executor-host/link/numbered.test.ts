import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LIMITS } from "#protocol/limits.ts";
import { Database } from "../../../executor-host/database.ts";
import { LinkUnderTest, say } from "./link-under-test.ts";

let host: LinkUnderTest;
beforeEach(async () => {
  host = await LinkUnderTest.make();
});
afterEach(() => host.stop());

const texts = (messages: readonly { type: string }[]) => messages.map((each) => (each as { text?: string }).text);
/** What the server says in these tests; the link does not look into messages. */
const fromServer = (text: string) => say(text) as never;

describe("numbered messages of the host", () => {
  test("[P-3] auth is the first frame, with token, protocol and epoch; resume the second", async () => {
    await host.up();
    const [auth, resume] = host.peer.frames.all.map((frame) => JSON.parse(frame));
    expect(auth).toEqual({ type: "auth", token: "token-1", protocol: 2, oldest: 1, epoch: 1 });
    expect(resume).toEqual({ type: "resume", received: 0 });
  });

  test("[P-17] a message is on disk until it is acknowledged", async () => {
    host.peer.acknowledges = false;
    await host.up();
    host.link.send(say("a"));
    await host.peer.messages.next();
    expect(host.outbox.position()).toMatchObject({ sent: 1 });
    expect(host.outbox.after(0, 10)).toHaveLength(1);
    host.peer.acknowledge();
    await host.link.drained();
    expect(host.outbox.position()).toEqual({ sent: 1, taken: 0, bytes: 0 });
  });

  test("[P-12] what was said while the link was down arrives after it is up, once and in order", async () => {
    host.link.send(say("a"));
    host.link.send(say("b"));
    await host.up();
    host.link.send(say("c"));
    await host.link.drained();
    expect(texts(host.peer.messages.all)).toEqual(["a", "b", "c"]);
  });

  test("[P-12] what the server had not acknowledged is sent again, what it had is not", async () => {
    host.peer.acknowledges = false;
    await host.up();
    for (const text of ["a", "b", "c"]) host.link.send(say(text));
    await host.peer.messages.next((message) => texts([message])[0] === "c");
    // The server crashed before `c` was on its disk.
    host.peer.taken = 2;
    host.peer.cut();
    await host.redial();
    await host.lives.next();
    host.peer.acknowledges = true;
    host.link.send(say("d"));
    await host.link.drained();
    expect(host.peer.numbers).toEqual([1, 2, 3, 3, 4]);
  });

  test("[P-12] the server's messages are taken again from where the host stopped", async () => {
    await host.up();
    host.peer.send(fromServer("a"));
    await host.taken.next();
    host.peer.cut();
    host.peer.send(fromServer("b"));
    await host.redial();
    expect(await host.taken.next()).toEqual(say("b"));
    const resumes = host.peer.frames.all
      .map((frame) => frame !== "ping" && JSON.parse(frame))
      .filter((f) => f.type === "resume");
    expect(resumes.map(({ received }) => received)).toEqual([0, 1]);
    expect(texts(host.taken.all)).toEqual(["a", "b"]);
  });

  test("[P-13] a number that was seen is dropped and acknowledged again", async () => {
    await host.up();
    host.peer.send(fromServer("a"));
    await host.taken.next();
    host.peer.raw(JSON.stringify({ n: 1, ack: 0, message: say("a") }));
    host.peer.send(fromServer("b"));
    await host.taken.next();
    host.clock.advance(50);
    await host.peer.frames.next((frame) => frame === '{"ack":2}');
    expect(texts(host.taken.all)).toEqual(["a", "b"]);
  });

  test("[P-13] a number that is too large closes with 4430, nothing of it is taken, and the link resumes", async () => {
    await host.up();
    host.peer.raw(JSON.stringify({ n: 5, ack: 0, message: say("too early") }));
    expect(await host.peer.closes.next()).toMatchObject({ code: 4430 });
    await host.redial();
    await host.lives.next();
    expect(host.taken.all).toEqual([]);
    expect(host.outbox.position().taken).toBe(0);
  });

  test("[P-14] an acknowledgement of what was never sent closes with 4400", async () => {
    await host.up();
    host.peer.raw('{"ack":7}');
    expect(await host.peer.closes.next()).toMatchObject({ code: 4400 });
  });

  test("[P-14] acknowledgements are gathered: 64 messages at once, fewer after 50 ms", async () => {
    await host.up();
    for (let i = 1; i <= 64; i++) host.peer.send(fromServer(String(i)));
    await host.peer.frames.next((frame) => frame === '{"ack":64}');
    host.peer.send(fromServer("65"));
    await host.taken.next((message) => message.text === "65");
    host.clock.advance(49);
    expect(host.peer.frames.all).not.toContain('{"ack":65}');
    host.clock.advance(1);
    await host.peer.frames.next((frame) => frame === '{"ack":65}');
    const alone = host.peer.frames.all.filter((frame) => frame.startsWith('{"ack"'));
    expect(alone).toEqual(['{"ack":64}', '{"ack":65}']);
  });

  test("[P-16] a new epoch begins at 1 and nothing of the old one is said", async () => {
    host.link.send(say("for the old lease"));
    const next = await LinkUnderTest.make({ database: host.database, epoch: 2, plane: host.plane });
    await next.up();
    next.link.send(say("for the new lease"));
    await next.link.drained();
    expect(host.peer.numbers).toEqual([1]);
    expect(texts(host.peer.messages.all)).toEqual(["for the new lease"]);
    next.link.close();
  });

  test("[P-17] a message and what it changed on disk are one transaction", async () => {
    host.database.exec("CREATE TABLE seen (text TEXT)");
    let failing = true;
    host.onTake = (message) => {
      host.database.sql("INSERT INTO seen VALUES (?)").run(String(message.text));
      // What a full disk looks like to the caller.
      if (failing) host.database.exec("INSERT INTO no_such_table VALUES (1)");
    };
    await host.up();
    host.peer.send(fromServer("a"));
    await host.peer.closes.next();
    expect(host.outbox.position().taken).toBe(0);
    expect(host.database.sql("SELECT * FROM seen").all()).toEqual([]);
    failing = false;
    await host.redial();
    await host.taken.next();
    expect(host.outbox.position().taken).toBe(1);
    expect(host.database.sql("SELECT * FROM seen").all()).toEqual([{ text: "a" }]);
  });

  test("a peer that has more than this disk remembers: numbering goes on above it", async () => {
    host.peer.taken = 9;
    host.link.send(say("a"));
    await host.up();
    await host.peer.messages.next();
    expect(host.peer.numbers).toEqual([10]);
  });

  test("back-pressure: the sender waits while too much is not acknowledged", async () => {
    host.peer.acknowledges = false;
    await host.up();
    const large = "x".repeat(900 * 1024);
    for (let sent = 0; sent < LIMITS.unacknowledgedBytes; sent += large.length) host.link.send(say(large));
    let room = false;
    const waiting = host.link.room().then(() => {
      room = true;
    });
    await host.peer.messages.next(() => host.peer.numbers.length === 5);
    expect(room).toBe(false);
    host.peer.acknowledge();
    await waiting;
    expect(host.outbox.position().bytes).toBe(0);
  });

  test("[P-1] a message that fits no frame is the caller's defect and is not stored", () => {
    expect(() => host.link.send(say("x".repeat(LIMITS.frameBytes)))).toThrow(/does not fit/);
    expect(host.outbox.position().sent).toBe(0);
  });

  test("an outbox is found again by the next process", async () => {
    const { database } = host;
    host.link.send(say("a"));
    const again = await LinkUnderTest.make({ database, plane: host.plane });
    await again.up();
    await again.link.drained();
    expect(texts(host.peer.messages.all)).toEqual(["a"]);
    again.link.close();
  });
});

test("a rollback undoes the message and sends nothing", () => {
  const database = new Database(":memory:");
  database.exec("CREATE TABLE t (x)");
  const effects: string[] = [];
  const work = () => {
    database.sql("INSERT INTO t VALUES (1)").run();
    database.afterCommit(() => effects.push("sent"));
    throw new Error("no");
  };
  expect(() => database.transaction(work)).toThrow("no");
  expect(effects).toEqual([]);
  expect(database.sql("SELECT count(*) AS n FROM t").get()).toEqual({ n: 0 });
  database.transaction(() => database.afterCommit(() => effects.push("next")));
  expect(effects).toEqual(["next"]);
});
