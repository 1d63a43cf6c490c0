/** The runner's API over a real Unix socket, in this process. */
import { mkdir, readdir } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { healthSchema } from "#protocol/runner-api.ts";
import { createScriptedAdapter } from "../../../executor-host/runner/adapters/scripted/adapter.ts";
import { BODY_BYTES } from "../../../executor-host/runner/api/http.ts";
import { createRunnerServer } from "../../../executor-host/runner/api/server.ts";
import { systemClock } from "../../../executor-host/runner/clock.ts";
import { finishedOf, ofType } from "./support/read.ts";
import { RunnerClient, startOrder } from "./support/runner-client.ts";
import { temporaryFolder } from "./support/temporary.ts";

async function serve() {
  const dir = await temporaryFolder();
  const cwd = path.join(dir, "w");
  await mkdir(cwd);
  const { server, runs } = createRunnerServer({
    clock: systemClock,
    spoolDir: path.join(dir, "spool"),
    adapters: new Map([["scripted", createScriptedAdapter({ childEnv: {} })]]),
    providerUrl: () => undefined,
  });
  const socketPath = path.join(dir, "r.sock");
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  onTestFinished(async () => {
    await runs.stopAll();
    server.closeAllConnections();
    server.close();
  });
  return { client: new RunnerClient(socketPath), cwd, dir, socketPath };
}

test("health says what it can drive and which runs there are", async () => {
  const { client, cwd } = await serve();
  await client.start({ runId: "run_1", cwd });
  const events = await client.events("run_1");
  const { status, body } = await client.get("/health");
  expect(status).toBe(200);
  expect(healthSchema.parse(body)).toMatchObject({
    providers: { scripted: {} },
    runs: [{ runId: "run_1", state: "finished", lastN: events.length }],
  });
});

test("starting is idempotent; another body under the same id, or a second run, is refused", async () => {
  const { client, cwd } = await serve();
  const order = { runId: "run_1", cwd, prompt: "hang", providerOptions: { a: 1, b: { c: 2 } } };
  expect(await client.start(order)).toEqual({ status: 202, body: { runId: "run_1", state: "running" } });
  const shuffled = { ...order, providerOptions: { b: { c: 2 }, a: 1 } };
  expect(await client.start(shuffled)).toMatchObject({ status: 202 });
  expect(await client.start({ ...order, prompt: "other" })).toMatchObject({
    status: 409,
    body: { ok: false, reason: "run_conflict", message: expect.any(String) },
  });
  expect(await client.start({ runId: "run_2", cwd })).toMatchObject({ status: 409, body: { reason: "run_active" } });
  await client.stop("run_1");
  expect(finishedOf(await client.events("run_1"))).toEqual({ outcome: "cancelled" });
  expect(await client.start(order)).toMatchObject({ status: 202, body: { state: "finished" } });
  expect(await client.start({ runId: "run_2", cwd })).toMatchObject({ status: 202 });
});

test("a provider that cannot be driven fails the run, with what to do", async () => {
  const { client, cwd } = await serve();
  await client.start({ runId: "run_1", cwd, provider: "opencode" });
  expect(finishedOf(await client.events("run_1"))).toMatchObject({ outcome: "failed", reason: "cli_missing" });
});

test.each([
  ["not JSON", "{"],
  ["not an object", "[]"],
  ["a field missing", JSON.stringify({ ...startOrder({ runId: "run_1", cwd: "/" }), prompt: undefined })],
  ["an unknown provider", JSON.stringify({ ...startOrder({ runId: "run_1", cwd: "/" }), provider: "hal" })],
  ["a path as id", JSON.stringify(startOrder({ runId: "../../etc/x", cwd: "/" }))],
  ["nested too deeply", `${'{"a":'.repeat(100)}1${"}".repeat(100)}`],
])("a start with %s is a bad request and leaves nothing behind", async (_name, body) => {
  const { client, dir } = await serve();
  expect(await client.request("POST", "/provider-runs/start", body)).toMatchObject({
    status: 400,
    body: { ok: false, reason: "bad_request" },
  });
  expect(await readdir(path.join(dir, "spool"))).toEqual([]);
});

test("a body that is too large is refused", async () => {
  const { client } = await serve();
  const answer = client.request("POST", "/provider-runs/start", "x".repeat(BODY_BYTES + 1));
  await expect(answer.then(({ status }) => status)).resolves.toBe(413);
});

test.each([
  ["GET", "/", 404, "not_found"],
  ["GET", "/provider-runs/start", 405, "method_not_allowed"],
  ["POST", "/health", 405, "method_not_allowed"],
  ["GET", "/provider-runs/run_x/stream", 404, "unknown_run"],
  ["POST", "/provider-runs/run_x/stop", 404, "unknown_run"],
  ["DELETE", "/provider-runs/run_x/stop", 405, "method_not_allowed"],
])("%s %s is %i %s", async (method, url, status, reason) => {
  const { client } = await serve();
  expect(await client.request(method, url)).toMatchObject({ status, body: { ok: false, reason } });
});

test("a reply to nothing is refused", async () => {
  const { client, cwd } = await serve();
  const reply = { requestId: "req_x", decision: "allow" };
  expect(await client.reply("run_x", reply)).toMatchObject({ status: 404, body: { reason: "unknown_run" } });
  await client.start({ runId: "run_1", cwd, prompt: "hang" });
  expect(await client.reply("run_1", reply)).toMatchObject({ status: 404, body: { reason: "unknown_request" } });
  expect(await client.reply("run_1", { decision: "allow" })).toMatchObject({ status: 400 });
});

test("cursors: bad ones and ones ahead are refused, the query wins over the header", async () => {
  const { client, cwd } = await serve();
  await client.start({ runId: "run_1", cwd });
  const events = await client.events("run_1");
  for (const bad of ["-1", "x", "1.5", "9".repeat(30)])
    expect(await client.get(`/provider-runs/run_1/stream?cursor=${bad}`)).toMatchObject({ status: 400 });
  expect(await client.get(`/provider-runs/run_1/stream?cursor=${events.length + 1}`)).toMatchObject({
    status: 409,
    body: { reason: "cursor_ahead" },
  });
  expect(await client.events("run_1", { cursor: 1, lastEventId: "0" })).toEqual(events.slice(1));
});

test("several readers, one of them stuck, get the same events", async () => {
  const { client, cwd, socketPath } = await serve();
  await client.start({ runId: "run_1", cwd, prompt: "ask question go?\nstream 20000 0" });
  // A reader that never reads: its socket fills up and must hold up nobody.
  const stuck = await new Promise<http.IncomingMessage>((resolve) => {
    http.get({ socketPath, path: "/provider-runs/run_1/stream" }, resolve);
  });
  stuck.pause();
  const readers = [client.events("run_1"), client.events("run_1", { cursor: 2 })];
  const { data } = await client.first("run_1", "human_loop.requested");
  await client.reply("run_1", { requestId: data.requestId, decision: "deny" });
  const [all = [], tail] = await Promise.all(readers);
  expect(finishedOf(all)).toMatchObject({ outcome: "succeeded" });
  expect(tail).toEqual(all.slice(2));
  expect(ofType(all, "message.stop")[0]?.data.text).toContain(" 20000");
  let late = "";
  for await (const part of stuck.setEncoding("utf8")) late += part;
  expect(late.match(/^id: /gm)).toHaveLength(all.length);
});
