/**
 * The runner's side of its API, as the test wants it, on a real Unix socket. Events are kept in a spool file as the real
 * runner keeps them, so that a worker that dies leaves the same behind.
 */
import { appendFileSync, mkdirSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { dirname, join } from "node:path";
import type { RunEvent } from "#protocol/events.ts";
import type { ProviderRunStart } from "#protocol/runner-api.ts";
import { Inbox } from "./inbox.ts";

export type RunnerCall = { method: string; path: string; body: unknown };

export class ScriptedRunner {
  readonly calls = new Inbox<RunnerCall>();
  readonly socketPath: string;
  /** Statuses for the next calls whose path ends so, before the usual answer. */
  readonly refusals: { path: string; status: number }[] = [];
  readonly started: ProviderRunStart[] = [];
  readonly #spools = new Map<string, string[]>();
  readonly #streams = new Set<{ runId: string; response: ServerResponse }>();
  #server: Server;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  async listen(): Promise<this> {
    mkdirSync(dirname(this.socketPath), { recursive: true });
    rmSync(this.socketPath, { force: true });
    await new Promise<void>((resolve) => this.#server.listen(this.socketPath, resolve));
    return this;
  }

  /** Writes events to the spool and to whoever reads. */
  emit(runId: string, ...events: RunEvent[]): void {
    const lines = events.map((event) => this.spool(runId, event));
    for (const line of lines) this.#write(line, runId);
  }

  /** Writes an event to the spool only, as if the worker died before anybody read it. */
  spool(runId: string, event: unknown): string {
    const lines = this.#spools.get(runId) ?? [];
    const line = JSON.stringify({ n: lines.length + 1, event });
    lines.push(line);
    this.#spools.set(runId, lines);
    const dir = join(dirname(this.socketPath), "spool");
    mkdirSync(dir, { recursive: true });
    appendFileSync(join(dir, `${runId}.jsonl`), `${lines.length === 1 ? '{"start":{}}\n' : ""}${line}\n`);
    return line;
  }

  /** Puts a line on the streams that is not in the spool's order. */
  raw(runId: string, line: string): void {
    this.#write(line, runId);
  }

  /** Bytes of a run's events that its reader has not taken. */
  unread(runId: string): number {
    const own = [...this.#streams].filter((stream) => stream.runId === runId);
    return own.reduce((sum, { response }) => sum + response.writableLength, 0);
  }

  /** Cuts every open stream. */
  cutStreams(): void {
    for (const { response } of this.#streams) response.destroy();
    this.#streams.clear();
  }

  /** The process is gone. */
  die(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #write(line: string, runId: string): void {
    for (const stream of this.#streams) {
      if (stream.runId !== runId) continue;
      stream.response.write(`data: ${line}\n\n`);
      if (line.includes(`"type":"run.finished"`)) {
        stream.response.end();
        this.#streams.delete(stream);
      }
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const chunk of request) text += chunk;
    const path = request.url ?? "";
    const body = text === "" ? undefined : JSON.parse(text);
    this.calls.put({ method: request.method ?? "", path, body });
    const say = (status: number, json: unknown) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
    const refusal = this.refusals.findIndex((each) => path.includes(each.path));
    if (refusal >= 0) return void say(this.refusals.splice(refusal, 1)[0]?.status ?? 500, { ok: false });
    if (path === "/provider-runs/start") {
      this.started.push(body);
      return void say(202, { runId: body.runId, state: "running" });
    }
    const [, runId = "", verb] = /^\/provider-runs\/([^/]+)\/([a-z]+)/.exec(path) ?? [];
    if (verb !== "stream") return void say(verb === "stop" ? 202 : 200, { ok: true });
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    const cursor = Number(new URL(path, "http://runner").searchParams.get("cursor"));
    const stream = { runId, response };
    this.#streams.add(stream);
    for (const line of (this.#spools.get(runId) ?? []).slice(cursor)) this.#write(line, runId);
  }
}
