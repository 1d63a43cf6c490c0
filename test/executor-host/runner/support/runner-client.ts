/** The daemon's side of the runner's API, as a test needs it: plain node:http over the Unix socket. */
import http from "node:http";
import type { RunEvent } from "#protocol/events.ts";
import { type ProviderRunStart, type RunnerEvent, runnerEventSchema } from "#protocol/runner-api.ts";

export type Answer = { status: number; body: Record<string, unknown> };
export type StreamOptions = { cursor?: number | string; lastEventId?: string };

export class RunnerClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  get(path: string): Promise<Answer> {
    return this.request("GET", path);
  }

  start(order: Partial<ProviderRunStart> & { runId: string; cwd: string }): Promise<Answer> {
    return this.post("/provider-runs/start", startOrder(order));
  }

  stop(runId: string): Promise<Answer> {
    return this.post(`/provider-runs/${runId}/stop`, {});
  }

  reply(runId: string, body: unknown): Promise<Answer> {
    return this.post(`/provider-runs/${runId}/human-loop/reply`, body);
  }

  post(path: string, body: unknown): Promise<Answer> {
    return this.request("POST", path, JSON.stringify(body));
  }

  request(method: string, path: string, body?: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = http.request({ socketPath: this.#socketPath, method, path }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part) => {
          text += part;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, body: text === "" ? {} : JSON.parse(text) }),
        );
      });
      request.on("error", reject);
      request.end(body);
    });
  }

  /** The events of a run as they come; ends when the runner ends the stream. Checks what SSE says against the data. */
  async *stream(runId: string, { cursor, lastEventId }: StreamOptions = {}): AsyncGenerator<RunnerEvent> {
    const query = cursor === undefined ? "" : `?cursor=${cursor}`;
    const headers = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const path = `/provider-runs/${runId}/stream${query}`;
      http.get({ socketPath: this.#socketPath, path, headers }, resolve).on("error", reject);
    });
    if (response.statusCode !== 200) throw new Error(`the stream answered ${response.statusCode}`);
    let text = "";
    for await (const part of response.setEncoding("utf8")) {
      text += part;
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks.filter((block) => !block.startsWith(":"))) yield parseBlock(block);
    }
  }

  /** Reads to the end of the run. */
  async events(runId: string, options?: StreamOptions): Promise<RunEvent[]> {
    const events: RunEvent[] = [];
    for await (const { event } of this.stream(runId, options)) events.push(event);
    return events;
  }

  /** Reads until an event of this type comes, and leaves. */
  async first<T extends RunEvent["type"]>(
    runId: string,
    type: T,
    where: (event: Extract<RunEvent, { type: T }>) => boolean = () => true,
  ): Promise<Extract<RunEvent, { type: T }>> {
    for await (const { event } of this.stream(runId)) {
      if (event.type === type && where(event as Extract<RunEvent, { type: T }>))
        return event as Extract<RunEvent, { type: T }>;
    }
    throw new Error(`the run ended without ${type}`);
  }
}

export function startOrder(order: Partial<ProviderRunStart> & { runId: string; cwd: string }): ProviderRunStart {
  return {
    sessionId: "ses_00000000000000000000",
    provider: "scripted",
    prompt: "say hello",
    timeoutMs: 60_000,
    traceId: "trc_test",
    ...order,
  };
}

function parseBlock(block: string): RunnerEvent {
  const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2)));
  const parsed = runnerEventSchema.parse(JSON.parse(fields.data));
  if (Number(fields.id) !== parsed.n || fields.event !== parsed.event.type)
    throw new Error(`SSE and data differ: ${block}`);
  return parsed;
}
