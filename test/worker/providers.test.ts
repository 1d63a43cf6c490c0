/** The matrix of what agents can do, over HTTP, and runs that need what their agent cannot. */
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { CAPABILITIES, capabilitiesOf, missingCapabilities } from "#protocol/capabilities.ts";
import { newId } from "#protocol/ids.ts";
import { PROVIDERS } from "#protocol/vocabulary.ts";
import { type Caller, firstCaller } from "../support/accounts.ts";
import { sharedWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

let worker: WorkerUnderTest;
let caller: Caller;
beforeAll(async () => {
  worker = await sharedWorker();
  caller = await firstCaller(worker);
});
afterAll(() => worker.close());

test("[R-6.4] every agent says all of what it can and cannot do, and why no host is ready", async () => {
  type Row = { provider: string; capabilities: Record<string, boolean>; state: string; reason?: string };
  const { status, body } = await caller.call<{ providers: Row[] }>("GET", "/api/providers");
  expect(status).toBe(200);
  expect(body.providers.map(({ provider }) => provider)).toEqual([...PROVIDERS]);
  for (const { capabilities, state, reason } of body.providers) {
    expect(Object.keys(capabilities).sort()).toEqual([...CAPABILITIES].sort());
    expect({ state, reason }).toEqual({ state: "environment_not_ready", reason: "No host is online." });
  }
});

test("[R-6.4] a run that needs what its agent cannot do is refused, with the ones that can", async () => {
  const order = { prompt: "go", provider: "scripted", requires: ["resume"] };
  for (const path of ["/api/runs/start", "/api/runs/queue/enqueue"]) {
    const { status, body } = await caller.call<{ reason: string; message: string }>("POST", path, order);
    expect(status).toBe(422);
    expect(body).toMatchObject({ ok: false, reason: "capability_missing", details: { missing: ["resume"] } });
    expect(body.message).toContain("claude-code");
  }
  const { body } = await caller.call<{ sessions: unknown[] }>("GET", "/api/sessions");
  expect(body.sessions).toEqual([]);
});

test("[R-6.4] it is refused also when the provider is the session's own, in a chat, and over the session's socket", async () => {
  const order = { prompt: "go", requires: ["resume"] };
  const refusal = { ok: false, reason: "capability_missing", details: { provider: "scripted", missing: ["resume"] } };
  // A new session whose provider is the organisation's choice: no session is left behind.
  const before = (await caller.call<{ sessions: unknown[] }>("GET", "/api/sessions")).body.sessions.length;
  const fresh = { ...order, provider: "scripted" };
  for (const [path, body] of [
    ["/api/runs/start", fresh],
    ["/api/chat", { ...fresh, id: "a chat", messages: [asked()] }],
  ] as const)
    expect(await caller.call("POST", path, body), path).toMatchObject({ status: 422, body: refusal });
  expect((await caller.call<{ sessions: unknown[] }>("GET", "/api/sessions")).body.sessions).toHaveLength(before);

  const made = await caller.call<{ session: { id: string } }>("POST", "/api/sessions", { provider: "scripted" });
  const sessionId = made.body.session.id;
  for (const [path, body] of [
    ["/api/runs/start", { ...order, sessionId }],
    ["/api/runs/queue/enqueue", { ...order, sessionId }],
    ["/api/chat", { ...order, id: sessionId, messages: [asked()] }],
  ] as const)
    expect(await caller.call("POST", path, body), path).toMatchObject({ status: 422, body: refusal });

  const socket = new WebSocket(`${worker.origin.replace("http", "ws")}/api/sessions/${sessionId}/socket`, {
    headers: { authorization: `Bearer ${caller.token}` },
  });
  try {
    await once(socket, "open");
    const answered = new Promise<unknown>((resolve) => {
      socket.on("message", (data) => {
        const message = JSON.parse(String(data));
        if (message.type === "answer") resolve(message);
      });
    });
    const prompt = { text: "go", requires: ["resume"] };
    socket.send(JSON.stringify({ type: "prompt", id: newId("cmd"), prompt }));
    expect(await answered).toMatchObject({ type: "answer", ...refusal });
  } finally {
    socket.close();
  }
  const { body } = await caller.call<{ view: { runs: unknown[] } }>("GET", `/api/sessions/${sessionId}`);
  expect(body.view.runs).toEqual([]);
});

const asked = () => ({ id: newId("msg"), role: "user", parts: [{ type: "text", text: "go" }] });

test("to be asked is a need of its own; an agent of acp is judged by its name, in the options or in the model", () => {
  const providerOptions = { permissionMode: "ask" };
  expect(missingCapabilities({ provider: "acp", providerOptions: { ...providerOptions, agent: "codex-acp" } })).toEqual(
    ["humanLoop"],
  );
  expect(missingCapabilities({ provider: "acp", model: "codex-acp/gpt-5.5", providerOptions })).toEqual(["humanLoop"]);
  expect(missingCapabilities({ provider: "native", providerOptions })).toEqual([]);
  // Whichever agent happens to be there may be one that does not ask.
  expect(missingCapabilities({ provider: "acp", providerOptions })).toEqual(["humanLoop"]);
  expect(missingCapabilities({ provider: "acp", model: "claude-agent-acp", providerOptions })).toEqual([]);
  expect(capabilitiesOf("acp", "opencode").questions).toBe(false);
});
