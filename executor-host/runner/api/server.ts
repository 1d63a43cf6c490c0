/** The runner's API (runner-api.ts): routes, and nothing that decides. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { humanLoopReplySchema } from "#protocol/events.ts";
import { type RunnerHealth, startSchema } from "#protocol/runner-api.ts";
import { PROTOCOL_VERSION } from "#protocol/version.ts";
import { PROVIDERS } from "#protocol/vocabulary.ts";
import type { RunsNeeds } from "../runs.ts";
import { Runs } from "../runs.ts";
import { Refusal, readJson, sendJson, sendRefusal } from "./http.ts";
import { streamEvents } from "./stream.ts";

export type RunnerServer = { server: Server; runs: Runs };

/** The API over `needs`; the caller listens. @throws when the spool folder cannot be used */
export function createRunnerServer(needs: RunsNeeds): RunnerServer {
  const runs = new Runs(needs);
  const server = createServer((request, response) => {
    route(runs, needs, request, response).catch((error: unknown) => fail(response, error));
  });
  // A stream is quiet for as long as a run is.
  server.requestTimeout = 0;
  return { server, runs };
}

const RUN_ROUTE = /^\/provider-runs\/([^/]+)\/(stream|stop|human-loop\/reply)$/;

async function route(runs: Runs, needs: RunsNeeds, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://runner");
  if (url.pathname === "/health") {
    expectMethod(request, "GET");
    return sendJson(response, 200, health(runs, needs));
  }
  if (url.pathname === "/provider-runs/start") {
    expectMethod(request, "POST");
    return start(runs, request, response);
  }
  const match = RUN_ROUTE.exec(url.pathname);
  if (!match) throw new Refusal(404, "not_found", "There is no such route.");
  const runId = match[1] ?? "";
  switch (match[2]) {
    case "stream":
      expectMethod(request, "GET");
      return stream(runs, needs, runId, url, request, response);
    case "stop": {
      expectMethod(request, "POST");
      const state = runs.stop(runId);
      if (!state) throw unknownRun(runId);
      return sendJson(response, 202, { runId, state });
    }
    default:
      expectMethod(request, "POST");
      return reply(runs, runId, request, response);
  }
}

async function start(runs: Runs, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const order = await readJson(request, startSchema);
  const outcome = runs.start(order);
  if (!outcome.ok) return sendRefusal(response, outcome.status, outcome.reason, outcome.message);
  sendJson(response, 202, { runId: order.runId, state: outcome.state });
}

async function reply(runs: Runs, runId: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readJson(request, humanLoopReplySchema);
  const outcome = runs.reply(runId, body);
  if (!outcome) throw unknownRun(runId);
  if (!outcome.ok) return sendRefusal(response, outcome.status, outcome.reason, outcome.message);
  sendJson(response, 200, { ok: true });
}

async function stream(
  runs: Runs,
  needs: RunsNeeds,
  runId: string,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const spool = runs.spool(runId);
  if (!spool) throw unknownRun(runId);
  const given = url.searchParams.get("cursor") ?? request.headers["last-event-id"] ?? "0";
  const cursor = typeof given === "string" && /^\d{1,15}$/.test(given) ? Number(given) : undefined;
  if (cursor === undefined) throw new Refusal(400, "bad_cursor", "A cursor is the number of the last event you have.");
  if (cursor > spool.lastN)
    throw new Refusal(409, "cursor_ahead", `This run has ${spool.lastN} events; yours are not from here.`);
  await streamEvents(response, spool, cursor, needs.clock);
}

function health(runs: Runs, { adapters }: RunsNeeds): RunnerHealth {
  const providers: RunnerHealth["providers"] = {};
  for (const provider of PROVIDERS) {
    const readiness = adapters.get(provider)?.readiness();
    if (readiness?.ready) providers[provider] = { version: readiness.version };
  }
  return { ok: true, protocol: PROTOCOL_VERSION, pid: process.pid, providers, runs: runs.list() };
}

function expectMethod(request: IncomingMessage, method: "GET" | "POST"): void {
  if (request.method !== method) throw new Refusal(405, "method_not_allowed", `This route takes ${method}.`);
}

function unknownRun(runId: string): Refusal {
  return new Refusal(404, "unknown_run", `There is no run ${runId} here.`);
}

/** The one place where a request's failure is answered. A refusal is expected; anything else is ours and is logged. */
function fail(response: ServerResponse, error: unknown): void {
  if (error instanceof Refusal && !response.headersSent)
    return sendRefusal(response, error.status, error.reason, error.message);
  if (response.destroyed) return; // the caller has gone; there is nobody to tell
  console.error("runner: a request failed:", error);
  if (response.headersSent) response.destroy();
  else sendRefusal(response, 500, "internal", "The runner could not answer; its log says why.");
}
