/** Runs without a host: they wait in the queue, can be followed, and end when someone stops them. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SessionEvent } from "#protocol/events.ts";
import { readSse } from "../../worker/sse.ts";
import { type Caller, firstCaller } from "../support/accounts.ts";
import { sharedWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

type Queued = { runId: string; sessionId: string; state: string };
let worker: WorkerUnderTest;
let me: Caller;
beforeAll(async () => {
  worker = await sharedWorker();
  me = await firstCaller(worker);
});
afterAll(() => worker.close());

const enqueue = (body: object, headers = {}) => me.call<Queued>("POST", "/api/runs/queue/enqueue", body, headers);
const stop = (runId: string) => me.call("POST", `/api/runs/${runId}/stop`, {});
const run = async (runId: string) =>
  (await me.call<{ run: Record<string, unknown> }>("GET", `/api/runs/${runId}`)).body.run;

/** Opens a stream; `next` reads until an event is as wanted. */
async function open(
  path: string,
  {
    method = "GET",
    body,
    headers = {},
    signal,
  }: { method?: string; body?: object; headers?: Record<string, string>; signal?: AbortSignal } = {},
) {
  const response = await worker.fetch(path, {
    method,
    signal,
    headers: {
      authorization: `Bearer ${me.token}`,
      accept: "text/event-stream",
      ...(body ? { "content-type": "application/json" } : {}),
      ...headers,
    },
    body: body && JSON.stringify(body),
  });
  if (!response.body) throw new Error("no body");
  const events = readSse(response.body);
  const seen: SessionEvent[] = [];
  async function until(wanted: (event: SessionEvent) => boolean): Promise<SessionEvent> {
    for (;;) {
      const { done, value } = await events.next();
      if (done) throw new Error(`the stream ended after ${seen.map(({ type }) => type).join(", ")}`);
      const event = JSON.parse(value.data) as SessionEvent;
      expect(value.id).toBe(String(event.seq));
      expect(value.event).toBe(event.type);
      seen.push(event);
      if (wanted(event)) return event;
    }
  }
  async function rest() {
    for await (const { data } of events) seen.push(JSON.parse(data));
    return seen;
  }
  return { response, until, rest, seen };
}
const finished = (event: SessionEvent) => event.type === "run.finished";

describe("a queued run", () => {
  test("says where it stands, and ends as cancelled when it is stopped [R-5.3]", async () => {
    const { status, body, headers } = await enqueue({ prompt: "say hello\nand more" });
    expect(status).toBe(202);
    expect(body.state).toBe("queued");
    expect(headers.get("x-run-id")).toBe(body.runId);
    expect(headers.get("x-session-id")).toBe(body.sessionId);
    expect((await me.call("GET", `/api/runs/queue/${body.runId}`)).body).toMatchObject({
      runId: body.runId,
      state: "queued",
      attempts: 1,
      position: 1,
    });
    expect(await run(body.runId)).toMatchObject({ state: "queued", provider: "scripted", sessionId: body.sessionId });
    expect((await me.call("GET", `/api/runs/${body.runId}/todos`)).body).toEqual({ items: [] });
    expect((await me.call("GET", `/api/runs/${body.runId}/todos/events`)).body).toEqual({ events: [] });
    const stopped = await stop(body.runId);
    expect(stopped).toMatchObject({ status: 202, body: { state: "finished" } });
    expect(await run(body.runId)).toMatchObject({ state: "finished", outcome: "cancelled" });
    expect(
      (await me.call<{ session: { title: string } }>("GET", `/api/sessions/${body.sessionId}`)).body.session.title,
    ).toBe("say hello");
  });

  test("the operator's drain answers what it did", async () => {
    expect(await me.call("POST", "/api/runs/queue/drain", {})).toMatchObject({ status: 200, body: { claimed: 0 } });
  });
});

describe("following a run", () => {
  test("the stream gives its events and ends with run.finished; a cursor skips what was read", async () => {
    const { body } = await enqueue({ prompt: "say hi" });
    const stream = await open(`/api/runs/${body.runId}/stream?cursor=0`);
    expect(stream.response.headers.get("content-type")).toContain("text/event-stream");
    expect(stream.response.headers.get("x-run-id")).toBe(body.runId);
    await stream.until((event) => event.type === "session.prompted");
    await stop(body.runId);
    const all = await stream.rest();
    expect(all.at(-1)).toMatchObject({ type: "run.finished", data: { outcome: "cancelled" } });
    expect(all.every((event) => event.runId === body.runId)).toBe(true);

    const cursor = all[0]?.seq ?? 0;
    const tail = await (await open(`/api/runs/${body.runId}/stream?cursor=${cursor}`)).rest();
    expect(tail).toEqual(all.slice(1));
    const resumed = await (
      await open(`/api/runs/${body.runId}/stream?cursor=0`, { headers: { "last-event-id": String(cursor) } })
    ).rest();
    expect(resumed, "Last-Event-ID is newer than the address").toEqual(tail);
  });

  test("one session's stream never shows another's [GHSA-84j6]", async () => {
    const [mine, other] = [await enqueue({ prompt: "one" }), await enqueue({ prompt: "two" })];
    await stop(other.body.runId);
    await stop(mine.body.runId);
    const events = await (await open(`/api/runs/${mine.body.runId}/stream`)).rest();
    expect(events.every((event) => event.sessionId === mine.body.sessionId)).toBe(true);
  });

  test("start with Accept: text/event-stream is that stream", async () => {
    const stream = await open("/api/runs/start", { method: "POST", body: { prompt: "say hi" } });
    expect(stream.response.status).toBe(200);
    const runId = stream.response.headers.get("x-run-id") ?? "";
    await stop(runId);
    expect((await stream.rest()).at(-1)).toMatchObject({ type: "run.finished", runId });
  });

  test("start without it answers when the run has finished", async () => {
    const { body: session } = await me.call<{ session: { id: string } }>("POST", "/api/sessions", {});
    const sessionId = session.session.id;
    const events = await open(`/api/sessions/${sessionId}/stream`);
    const answer = me.call("POST", "/api/runs/start", { sessionId, prompt: "say hi" });
    const { runId = "" } = await events.until((event) => event.type === "session.prompted");
    await stop(runId);
    expect(await answer).toMatchObject({
      status: 200,
      body: { ok: false, runId, sessionId, outcome: "cancelled", text: "" },
    });
    expect((await answer).headers.get("x-run-id")).toBe(runId);
  });
});

describe("the same start twice", () => {
  test("is one run, with its first answer", async () => {
    const headers = { "idempotency-key": "once" };
    const all = await Promise.all(Array.from({ length: 4 }, () => enqueue({ prompt: "say hi", model: "m" }, headers)));
    expect(new Set(all.map(({ body }) => body.runId)).size).toBe(1);
    const { body } = await me.call<{ view: { runs: object[] } }>("GET", `/api/sessions/${all[0]?.body.sessionId}`);
    expect(body.view.runs).toHaveLength(1);
    expect(await enqueue({ prompt: "say something else", model: "m" }, headers)).toMatchObject({
      status: 409,
      body: { reason: "idempotency_conflict" },
    });
  });

  test("also after it has finished", async () => {
    const headers = { "idempotency-key": "finished" };
    const first = await enqueue({ prompt: "say hi" }, headers);
    await stop(first.body.runId);
    const again = await me.call("POST", "/api/runs/start", { prompt: "say hi" }, headers);
    expect(again).toMatchObject({ status: 200, body: { runId: first.body.runId, outcome: "cancelled" } });
  });
});

describe("a caller who leaves [R-5.4]", () => {
  const ended = async (sessionId: string) => (await open(`/api/sessions/${sessionId}/stream`)).until(finished);

  test("cancels the run when that was asked for, and only then", async () => {
    const leaves = async (onDisconnect: "cancel" | "continue") => {
      const abort = new AbortController();
      const stream = await open("/api/runs/start", {
        method: "POST",
        body: { prompt: "hang", onDisconnect },
        signal: abort.signal,
      });
      abort.abort();
      return {
        runId: stream.response.headers.get("x-run-id") ?? "",
        sessionId: stream.response.headers.get("x-session-id") ?? "",
      };
    };
    const stays = await leaves("continue");
    const goes = await leaves("cancel");
    expect(await ended(goes.sessionId)).toMatchObject({ runId: goes.runId, data: { outcome: "cancelled" } });
    expect(await run(stays.runId), "left before the other one, and still waiting").toMatchObject({ state: "queued" });
  });

  test("waits for JSON to the end, when it stays", async () => {
    const { body } = await me.call<{ session: { id: string } }>("POST", "/api/sessions", {});
    const sessionId = body.session.id;
    const events = await open(`/api/sessions/${sessionId}/stream`);
    const answer = me.call("POST", "/api/runs/start", { sessionId, prompt: "hang", onDisconnect: "cancel" });
    const { runId = "" } = await events.until((event) => event.type === "session.prompted");
    await stop(runId);
    const { status, headers } = await answer;
    expect(status).toBe(200);
    expect(headers.get("content-type")).toContain("application/json");
    expect(headers.get("x-run-id")).toBe(runId);
  });

  test("cancels a run that it waited for as JSON, too", async () => {
    const { body } = await me.call<{ session: { id: string } }>("POST", "/api/sessions", {});
    const sessionId = body.session.id;
    const events = await open(`/api/sessions/${sessionId}/stream`);
    const abort = new AbortController();
    const answer = await worker.fetch("/api/runs/start", {
      method: "POST",
      signal: abort.signal,
      // The harness compresses whatever the answer says about it, and a compressor keeps heartbeats to itself.
      headers: {
        authorization: `Bearer ${me.token}`,
        "content-type": "application/json",
        "accept-encoding": "identity",
      },
      body: JSON.stringify({ sessionId, prompt: "hang", onDisconnect: "cancel" }),
    });
    expect(answer.headers.get("x-session-id"), "the headers come at once").toBe(sessionId);
    abort.abort();
    await expect(answer.text()).rejects.toThrow();
    expect(await events.until(finished)).toMatchObject({ data: { outcome: "cancelled" } });
  });
});

describe("what is not there", () => {
  test.each(["", "/stream", "/todos", "/todos/events"])("GET /api/runs/:runId%s", async (way) => {
    expect((await me.call("GET", `/api/runs/run_zzzzzzzzzzzzzzzzzzzz-zzzzzzzzzz${way}`)).status).toBe(404);
    const { body } = await enqueue({ prompt: "say hi" });
    const sibling = `run_${body.sessionId.slice(4)}-zzzzzzzzzz`;
    expect((await me.call("GET", `/api/runs/${sibling}${way}`)).status, "another run of a real session").toBe(404);
    expect((await me.call("GET", `/api/runs/run_..%2F..${way}`)).status).toBe(404);
  });

  test("stopping and answering it is refused", async () => {
    expect((await stop("run_zzzzzzzzzzzzzzzzzzzz-zzzzzzzzzz")).status).toBe(404);
    expect(
      (
        await me.call("POST", "/api/human-loop/reply", {
          requestId: "req_zzzzzzzzzzzzzzzzzzzz-zzzzzzzzzz",
          decision: "allow",
        })
      ).status,
    ).toBe(404);
    expect((await enqueue({ prompt: "x", executionProfile: "none" })).status).toBe(422);
  });

  test("[R-4.3] a manifest that can never hold is refused before a run exists", async () => {
    const missing = await enqueue({
      prompt: "x",
      manifest: { runtimeVersion: "1.0", requiredPaths: ["/workspace/data"] },
    });
    expect(missing).toMatchObject({ status: 422, body: { reason: "required_paths_missing" } });
    expect(missing.body).toMatchObject({ details: { missing: ["/workspace/data"] } });
    const version = await enqueue({ prompt: "x", manifest: { runtimeVersion: "9.0" } });
    expect(version).toMatchObject({ status: 422, body: { reason: "runtime_version_mismatch" } });
    expect((await enqueue({ prompt: "x", manifest: { runtimeVersion: "1.0" } })).status).toBe(202);
  });
});
