/** A person's socket to a session: who may open it, and as whom they speak. */
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";
import type { ToViewer } from "#protocol/viewer.ts";
import { type Caller, firstCaller, otherCaller, ownerCookie } from "../support/accounts.ts";
import { sharedWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

let worker: WorkerUnderTest;
let me: Caller;
let cookie: string;
let sessionId: string;
beforeAll(async () => {
  worker = await sharedWorker();
  me = await firstCaller(worker);
  cookie = await ownerCookie(worker);
  const { body } = await me.call<{ session: { id: string } }>("POST", "/api/sessions", { title: "Socket" });
  sessionId = body.session.id;
});
afterAll(() => worker.close());

const address = (id = sessionId, search = "") =>
  `${worker.origin.replace("http", "ws")}/api/sessions/${id}/socket${search}`;

async function refusal(headers: Record<string, string>, id = sessionId, search = ""): Promise<number> {
  const socket = new WebSocket(address(id, search), { headers });
  socket.on("error", () => undefined);
  const [, response] = await once(socket, "unexpected-response");
  socket.terminate();
  return response.statusCode;
}

/** Opens a socket; messages are kept from the first one on. */
async function open(headers: Record<string, string>) {
  const socket = new WebSocket(address(), { headers });
  const inbox: ToViewer[] = [];
  const waiting: (() => void)[] = [];
  socket.on("message", (data) => {
    inbox.push(JSON.parse(String(data)));
    for (const wake of waiting.splice(0)) wake();
  });
  await once(socket, "open");
  async function until<T extends ToViewer["type"]>(type: T): Promise<Extract<ToViewer, { type: T }>> {
    for (;;) {
      const found = inbox.find((message) => message.type === type);
      if (found) return found as Extract<ToViewer, { type: T }>;
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  }
  return { socket, until };
}

describe("opens", () => {
  test("for a person from our own page, and for a service token from anywhere", async () => {
    const callers: Record<string, string>[] = [
      { cookie, origin: worker.origin },
      { authorization: `Bearer ${me.token}` },
    ];
    for (const headers of callers) {
      const { socket, until } = await open(headers);
      expect(await until("live")).toMatchObject({ hostConnected: false });
      socket.close();
    }
  });

  test("as the one who is signed in, whatever the headers pretend", async () => {
    const pretend = JSON.stringify({ id: "usr_someone", name: "Someone else" });
    const { socket, until } = await open({
      cookie,
      origin: worker.origin,
      "x-gantry-actor": pretend,
      "X-Gantry-Trace-Id": "fake",
    });
    await until("live");
    socket.send(JSON.stringify({ type: "prompt", id: "cmd-1", prompt: { text: "say hi" } }));
    expect(await until("answer")).toMatchObject({ ok: true, id: "cmd-1" });
    socket.close();
    const who = (await (await worker.fetch("/api/me", { headers: { cookie } })).json()) as { id: string; name: string };
    const { body } = await me.call<{ view: { runs: { author: object }[] } }>("GET", `/api/sessions/${sessionId}`);
    expect(body.view.runs[0]?.author).toEqual({ id: who.id, name: who.name });
  });

  test("for people whose names are not ASCII", async () => {
    const who = (await (await worker.fetch("/api/me", { headers: { cookie } })).json()) as { id: string };
    await worker.sql("update users set name = ? where id = ?", "Żółć 😀 李\n", who.id);
    const { socket, until } = await open({ cookie, origin: worker.origin });
    await until("live");
    socket.send(JSON.stringify({ type: "prompt", id: "cmd-2", prompt: { text: "say hi" } }));
    await until("answer");
    socket.close();
    const { body } = await me.call<{ view: { runs: { author: { name: string } }[] } }>(
      "GET",
      `/api/sessions/${sessionId}`,
    );
    expect(body.view.runs.at(-1)?.author.name).toBe("Żółć 😀 李\n");
  });
});

describe("stays shut", () => {
  test("for a page of another site, cookie or not [Gitpod CSWSH]", async () => {
    for (const origin of ["https://evil.test", "null", `${worker.origin}.evil.test`]) {
      expect(await refusal({ cookie, origin }), origin).toBe(403);
    }
    expect(await refusal({ cookie })).toBe(403);
  });

  test("for nobody and for strangers", async () => {
    expect(await refusal({})).toBe(401);
    expect(await refusal({ origin: worker.origin })).toBe(401);
    const stranger = await otherCaller(worker);
    expect(await refusal({ authorization: `Bearer ${stranger.token}` })).toBe(404);
  });

  test("[P-21] for a cursor that is no number of digits", async () => {
    const headers = { authorization: `Bearer ${me.token}` };
    for (const cursor of ["-1", "", "0x10", "1e3", "9".repeat(16), "%ff"])
      expect(await refusal(headers, sessionId, `?cursor=${cursor}`), cursor).toBe(400);
  });

  test("for sessions that are not there", async () => {
    const headers = { authorization: `Bearer ${me.token}` };
    expect(await refusal(headers, "ses_zzzzzzzzzzzzzzzzzzzz")).toBe(404);
    expect(await refusal(headers, "..%2F..")).toBe(404);
  });

  test("for what is no upgrade", async () => {
    expect((await me.call("GET", `/api/sessions/${sessionId}/socket`)).status).toBe(426);
  });
});
