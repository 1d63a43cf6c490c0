/** Clients of others read our event streams: npm `eventsource`, and `eventsource-parser` cut at every byte. */
import { EventSource } from "eventsource";
import { createParser } from "eventsource-parser";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EVENT_DATA, type RunEvent, type SessionEvent } from "#protocol/events.ts";
import { bootstrap, type Caller, firstCaller } from "../support/accounts.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { HostedRun } from "../support/hosted-run.ts";
import { ScriptedHost, within } from "../support/scripted-host.ts";
import { sharedWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

let worker: WorkerUnderTest;
let me: Caller;
let host: ScriptedHost;
let proxy: CuttingProxy;
let hosted: HostedRun;
let sessionPath: string;
let runPath: string;

const say = (text: string): RunEvent => ({
  type: "message.delta",
  data: { messageId: "m", chunks: [{ type: "text-delta", id: "t", delta: text }] },
});
/** Line ends of every kind inside the data, and characters of several bytes. */
const WORDS = ["one\n", "two\r\nand \r more", "drei: für", "\u2028four 🙂", "data: five\n\nid: 7"];

beforeAll(async () => {
  worker = await sharedWorker();
  me = await firstCaller(worker);
  host = await ScriptedHost.online(worker.origin, (await bootstrap(worker, ["joinToken"])).joinToken);
  const queued = await me.call<{ runId: string; sessionId: string }>("POST", "/api/runs/queue/enqueue", {
    prompt: "x",
  });
  hosted = await HostedRun.first(host);
  for (const word of WORDS) await hosted.told(say(word));
  sessionPath = `/api/sessions/${queued.body.sessionId}/stream`;
  runPath = `/api/runs/${queued.body.runId}/stream`;
  proxy = await CuttingProxy.listen(worker.origin, me.token);
});
afterAll(async () => {
  await proxy.close();
  await host.control.close();
  await worker.close();
});

const view = async () => (await me.call<{ cursor: number }>("GET", sessionPath.replace(/\/stream$/, ""))).body.cursor;
const upTo = (cursor: number) => Array.from({ length: cursor }, (_, index) => index + 1);

/** Everything that an EventSource hears, each event once under its own name. */
function listen(path: string) {
  const source = new EventSource(`${proxy.origin}${path}`);
  const heard: { id: string; event: SessionEvent }[] = [];
  let look = () => {};
  for (const type of Object.keys(EVENT_DATA)) {
    source.addEventListener(type, ({ lastEventId, data }) => {
      heard.push({ id: lastEventId, event: JSON.parse(data) as SessionEvent });
      look();
    });
  }
  const until = (what: string, holds: () => boolean) =>
    within(
      new Promise<void>((resolve) => {
        look = () => holds() && resolve();
        source.addEventListener("error", () => look());
        look();
      }),
      () => `${what}; heard ${heard.map(({ id }) => id)}`,
    );
  return { source, heard, until };
}

describe("[P-27] npm eventsource", () => {
  test("that is cut comes back where it was: nothing lost, nothing twice", async () => {
    const cursor = await view();
    // In the first event, between two events somewhere, and before the first event of a resumed stream.
    proxy.cuts.push(40, 900, 5, 450);
    const { source, heard, until } = listen(sessionPath);
    await until("the past", () => heard.length >= cursor);
    await hosted.told(say("live"));
    const now = await view();
    await until("what is live", () => heard.length >= now);
    source.close();
    expect(heard.map(({ event }) => event.seq)).toEqual(upTo(now));
    expect(heard.every(({ id, event }) => id === String(event.seq))).toBe(true);
    expect(proxy.cuts).toEqual([]);
    expect(proxy.lastEventIds).toHaveLength(5);
    expect(proxy.lastEventIds[0]).toBeUndefined();
    expect(proxy.lastEventIds[3], "kept over a stream that brought nothing").toBe(proxy.lastEventIds[2]);
    const words = heard.flatMap(({ event }) => (event.type === "message.delta" ? event.data.chunks : []));
    expect(words.map((chunk) => ("delta" in chunk ? chunk.delta : ""))).toEqual([...WORDS, "live"]);
  });
});

/** Reads like an EventSource, `step` bytes at a time; answers the ids. */
function parse(bytes: Uint8Array, step = bytes.length): number[] {
  const ids: number[] = [];
  const decoder = new TextDecoder();
  const parser = createParser({
    onEvent: ({ id, event, data }) => {
      const envelope = JSON.parse(data) as SessionEvent;
      expect({ id, event }).toEqual({ id: String(envelope.seq), event: envelope.type });
      ids.push(envelope.seq);
    },
    onError: (error) => expect.unreachable(error.message),
  });
  for (let at = 0; at < bytes.length; at += step) {
    parser.feed(decoder.decode(bytes.subarray(at, at + step), { stream: true }));
  }
  return ids;
}

describe("[P-27] eventsource-parser", () => {
  test.each(["session", "run"])("finds a %s's events whole after a cut at every byte", async (which) => {
    const path = which === "session" ? sessionPath : runPath;
    const cursor = await view();
    /** The stream after a cursor up to what is there now, as bytes. */
    const read = async (after: number): Promise<Uint8Array> => {
      const response = await worker.fetch(path, {
        headers: { authorization: `Bearer ${me.token}`, "last-event-id": String(after) },
      });
      let text = "";
      const decoder = new TextDecoder();
      for await (const chunk of response.body ?? []) {
        text += decoder.decode(chunk, { stream: true });
        if (after >= cursor || new RegExp(`^id: ${cursor}\n(.+\n)+\n`, "m").test(text)) break;
      }
      return new TextEncoder().encode(text);
    };
    const whole = await read(0);
    const all = parse(whole);
    expect(parse(whole, 1), "no boundary of a chunk means anything").toEqual(all);
    expect(all.length).toBeGreaterThan(WORDS.length);
    if (which === "session") expect(all).toEqual(upTo(cursor));
    const resumed = new Map<number, number[]>();
    for (let count = 0; count <= whole.length; count++) {
      const before = parse(whole.subarray(0, count));
      const last = before.at(-1) ?? 0;
      const after = resumed.get(last) ?? parse(await read(last));
      resumed.set(last, after);
      expect([...before, ...after], `cut after ${count}`).toEqual(all);
    }
  });

  test("a cursor in the address counts only where there is no Last-Event-ID", async () => {
    const first = async (query: string, headers: Record<string, string> = {}) => {
      const response = await worker.fetch(`${sessionPath}${query}`, {
        headers: { authorization: `Bearer ${me.token}`, ...headers },
      });
      let text = "";
      for await (const chunk of response.body ?? []) {
        text += new TextDecoder().decode(chunk);
        if (/^id: \d+\n/m.test(text)) break;
      }
      return /^id: (\d+)$/m.exec(text)?.[1];
    };
    expect(await first("?cursor=2")).toBe("3");
    expect(await first("?cursor=2", { "last-event-id": "4" })).toBe("5");
    for (const wrong of ["", "abc", "-1", "1e3"])
      expect(await first("?cursor=2", { "last-event-id": wrong })).toBe("3");
  });
});

describe("[P-27] a run that is over", () => {
  test("ends its stream, and an EventSource stays away", async () => {
    await hosted.told({ type: "run.finished", data: { outcome: "succeeded" } });
    proxy.lastEventIds.length = 0;
    proxy.statuses.length = 0;
    proxy.cuts.push(700);
    const { source, heard, until } = listen(runPath);
    await until("the end", () => source.readyState === EventSource.CLOSED);
    expect(proxy.statuses).toEqual([200, 200, 204]);
    expect(heard.at(-1)?.event.type).toBe("run.finished");
    expect(proxy.lastEventIds.at(-1)).toBe(heard.at(-1)?.id);
    const seqs = heard.map(({ event }) => event.seq);
    expect(seqs).toEqual([...new Set(seqs)]);
    expect(await me.call("GET", `${runPath}?cursor=999999`)).toMatchObject({ status: 204 });
    const stream = await me.call<{ text: string }>("GET", runPath);
    expect(stream.body.text).toContain("event: run.finished\n");
    expect(stream.body.text.match(/^id: /gm)).toHaveLength(seqs.length);
  });
});
