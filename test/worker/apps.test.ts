/** Apps: who sees them, what they bring into a run, and what they decide for a session's whole life. */
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import WebSocket from "ws";
import { addCaller, type Caller, firstCaller, otherCaller } from "../support/accounts.ts";
import { sharedWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

let worker: WorkerUnderTest;
let me: Caller;
beforeAll(async () => {
  worker = await sharedWorker();
  me = await firstCaller(worker);
});
afterAll(() => worker.close());

type App = { id: string; name: string; canUse: boolean; runtimeDefaults: { networkPolicy: string } };
const register = async (body: object, by = me) =>
  await by.call<{ app: App; reason?: string }>("POST", "/api/apps/register", body);
const store = async (by = me) => (await by.call<{ apps: App[] }>("GET", "/api/apps/store")).body.apps;
const enqueue = (body: object, by = me) =>
  by.call<{ runId: string; sessionId: string; reason?: string }>("POST", "/api/runs/queue/enqueue", {
    prompt: "say hi",
    ...body,
  });
const runOf = async (runId: string) =>
  (await me.call<{ run: { provider: string; model?: string } }>("GET", `/api/runs/${runId}`)).body.run;
const runsOf = async (sessionId: string) =>
  (await me.call<{ view: { runs: object[] } }>("GET", `/api/sessions/${sessionId}`)).body.view.runs;
const bound = async (sessionId: string) =>
  (await worker.sql<{ app_id: string }>("select app_id from session_apps where session_id = ?", sessionId))[0]?.app_id;

describe("[R-8.2] apps", () => {
  test("one name is one app; the default network is providers", async () => {
    const first = await register({ name: "review" });
    expect(first).toMatchObject({ status: 200, body: { app: { runtimeDefaults: { networkPolicy: "providers" } } } });
    const again = await register({ name: "review", runtimeDefaults: { networkPolicy: "none" } });
    expect(again.body.app).toMatchObject({ id: first.body.app.id, runtimeDefaults: { networkPolicy: "none" } });
    expect((await store()).filter(({ name }) => name === "review")).toHaveLength(1);
  });

  test("a private one is its maker's and the administrators'; another organisation sees none", async () => {
    await register({ name: "hidden", visibility: "private" });
    const member = await addCaller(worker, me.organizationId, "member");
    expect((await store()).map(({ name }) => name)).toContain("hidden");
    expect((await store(member)).map(({ name }) => name)).not.toContain("hidden");
    expect(await enqueue({ executionProfile: "hidden" }, member)).toMatchObject({
      status: 422,
      body: { reason: "app_unknown" },
    });
    expect((await register({ name: "mine" }, member)).status).toBe(403);
    const other = await otherCaller(worker);
    expect(await store(other)).toEqual([]);
    expect(await enqueue({ executionProfile: "hidden" }, other)).toMatchObject({ status: 422 });
  });

  test("a deleted one begins nothing any more and frees its name; its sessions keep its rules", async () => {
    const rules = { networkPolicy: "none", provider: "scripted", model: "kept" };
    const { app } = (await register({ name: "leaving", runtimeDefaults: rules })).body;
    const { body } = await enqueue({ executionProfile: "leaving" });
    const member = await addCaller(worker, me.organizationId, "member");
    expect((await member.call("DELETE", `/api/apps/${app.id}`)).status).toBe(403);
    expect((await (await otherCaller(worker)).call("DELETE", `/api/apps/${app.id}`)).status).toBe(404);
    expect(await me.call("DELETE", `/api/apps/${app.id}`)).toMatchObject({ status: 200, body: { ok: true } });
    expect((await me.call("DELETE", `/api/apps/${app.id}`)).status).toBe(404);
    expect((await store()).map(({ name }) => name)).not.toContain("leaving");
    for (const named of ["leaving", app.id])
      expect(await enqueue({ executionProfile: named })).toMatchObject({
        status: 422,
        body: { reason: "app_unknown" },
      });
    const credential = { kind: "anthropic", name: "late", value: "sk-ant-late", appId: app.id };
    expect(await me.call("POST", "/api/credentials", credential)).toMatchObject({ body: { reason: "app_unknown" } });
    // The session, its next run and its forks stay under it.
    expect(await bound(body.sessionId)).toBe(app.id);
    const next = await enqueue({ sessionId: body.sessionId });
    expect(await runOf(next.body.runId)).toMatchObject({ provider: "scripted", model: "kept" });
    const successor = (await register({ name: "leaving" })).body.app;
    expect(successor.id).not.toBe(app.id);
    expect(successor.runtimeDefaults.networkPolicy).toBe("providers");
  });

  test.each([
    ["a mode that is none", { networkPolicy: "everything" }],
    ["a host that is none", { networkPolicy: "allowlist", allowlist: ["https://x.example/path"] }],
    ["a field that nobody reads", { image: "debian" }],
  ])("refused: %s", async (_what, runtimeDefaults) => {
    expect(await register({ name: "wrong", runtimeDefaults })).toMatchObject({ status: 400 });
  });

  test("a credential that is not there is said so", async () => {
    const runtimeDefaults = { credentialId: "crd_00000000000000000000" };
    expect(await register({ name: "wrong", runtimeDefaults })).toMatchObject({
      body: { reason: "credential_unknown" },
    });
  });

  test("an execution profile brings its defaults into a run, and its session stays the app's", async () => {
    const { app } = (await register({ name: "coder", runtimeDefaults: { provider: "opencode", model: "m-app" } })).body;
    const { runId, sessionId } = (await enqueue({ executionProfile: "coder" })).body;
    expect(await runOf(runId)).toMatchObject({ provider: "opencode", model: "m-app" });
    expect(await bound(sessionId)).toBe(app.id);
    const next = await enqueue({ sessionId, model: "m-mine" });
    expect(await runOf(next.body.runId)).toMatchObject({ provider: "opencode", model: "m-mine" });

    await register({ name: "other" });
    expect(await enqueue({ sessionId, executionProfile: "other" })).toMatchObject({
      status: 422,
      body: { reason: "execution_profile_conflict" },
    });
    const plain = (await enqueue({})).body.sessionId;
    expect(await enqueue({ sessionId: plain, executionProfile: "coder" })).toMatchObject({
      body: { reason: "execution_profile_conflict" },
    });
  });

  test("a session made for an app is bound to it", async () => {
    const { app } = (
      await register({ name: "sessions", vmMode: "process", runtimeDefaults: { provider: "claude-code" } })
    ).body;
    const made = await me.call<{ session: { id: string } }>("POST", "/api/sessions", { appId: app.id });
    expect(made).toMatchObject({ status: 201, body: { session: { provider: "claude-code", vmMode: "process" } } });
    expect(await bound(made.body.session.id)).toBe(app.id);
    expect(await me.call("POST", "/api/sessions", { appId: "nobody" })).toMatchObject({
      status: 422,
      body: { reason: "app_unknown" },
    });
  });

  test("its defaults are as they are when a prompt comes, in whichever way it comes", async () => {
    const defaults = (model: string) => ({ provider: "codex-cli", model, humanLoopTimeoutMs: 60_000 });
    const { app } = (await register({ name: "edited", runtimeDefaults: defaults("m-1") })).body;
    const made = await me.call<{ session: { id: string } }>("POST", "/api/sessions", { appId: app.id });
    const sessionId = made.body.session.id;
    const socket = new WebSocket(`${worker.origin.replace("http", "ws")}/api/sessions/${sessionId}/socket`, {
      headers: { authorization: `Bearer ${me.token}` },
    });
    await once(socket, "open");
    // The stop stays behind the prompt that it is for, which waits for the app.
    socket.send(JSON.stringify({ type: "prompt", id: "by-socket", prompt: { text: "hi" } }));
    socket.send(JSON.stringify({ type: "stop", id: "stops-it", clearQueue: true }));
    await vi.waitFor(async () => expect(await runsOf(sessionId)).toMatchObject([{ state: "finished" }]), 10_000);
    socket.close();
    await register({ name: "edited", runtimeDefaults: defaults("m-2") });
    const message = { id: "m", role: "user", parts: [{ type: "text", text: "hi" }] };
    const chat = { id: sessionId, trigger: "submit-message", messages: [message] };
    const headers = { authorization: `Bearer ${me.token}`, "content-type": "application/json" };
    const answer = await worker.fetch("/api/chat", { method: "POST", headers, body: JSON.stringify(chat) });
    await answer.body?.cancel();
    await enqueue({ sessionId });
    await enqueue({ sessionId, provider: "claude-code" });
    expect(await runsOf(sessionId)).toMatchObject([
      { provider: "codex-app-server", model: "m-1", humanLoopTimeoutMs: 60_000, outcome: "cancelled" },
      { provider: "codex-app-server", model: "m-2", humanLoopTimeoutMs: 60_000 },
      { provider: "codex-app-server", model: "m-2" },
      { provider: "claude-code", humanLoopTimeoutMs: 60_000 },
    ]);
    expect((await runsOf(sessionId))[3]).not.toHaveProperty("model");
  });
});
