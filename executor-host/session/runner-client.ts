/** The runner's API as the daemon calls it: HTTP over the Unix socket in the worker's run folder. */
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { z } from "zod";
import type { HumanLoopReply, RunEvent } from "#protocol/events.ts";
import { type ProviderRunStart, runnerEventSchema } from "#protocol/runner-api.ts";
import { isSocket } from "../container/socket-path.ts";
import type { Logger } from "../logs.ts";
import { sseData } from "./sse.ts";

/** The runner answered, and said no. */
export class RunnerRefused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "RunnerRefused";
    this.status = status;
  }
}

const ANSWER_TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;

/** @throws RunnerRefused, or the socket's error when nobody answers */
export async function startProviderRun(
  socketPath: string,
  start: ProviderRunStart,
  signal: AbortSignal,
): Promise<void> {
  await call(socketPath, "/provider-runs/start", start, signal);
}

/** @throws RunnerRefused, or the socket's error when nobody answers */
export async function stopProviderRun(socketPath: string, runId: string, signal: AbortSignal): Promise<void> {
  await call(socketPath, `/provider-runs/${encodeURIComponent(runId)}/stop`, {}, signal);
}

/** @throws RunnerRefused (409: somebody answered before), or the socket's error when nobody answers */
export async function replyToRunner(
  socketPath: string,
  runId: string,
  reply: HumanLoopReply,
  signal: AbortSignal,
): Promise<void> {
  await call(socketPath, `/provider-runs/${encodeURIComponent(runId)}/human-loop/reply`, reply, signal);
}

/** An event as it came; without `event` it was none that we know, and only its number counts. */
export type StreamedEvent = { n: number; event: RunEvent | undefined };

/**
 * The events of a run after `cursor`, live; ends when the runner ends the stream. Reading slowly slows the runner down.
 * What is no event is logged and passed on as a number: the agent shares the container with the runner, its word is not
 * trusted, and the events behind it are innocent.
 * @throws RunnerRefused, or the socket's error
 */
export async function* streamProviderRun(
  socketPath: string,
  run: { runId: string; cursor: number },
  signal: AbortSignal,
  logger: Logger,
): AsyncGenerator<StreamedEvent> {
  const path = `/provider-runs/${encodeURIComponent(run.runId)}/stream?cursor=${run.cursor}`;
  await mustBeSocket(socketPath);
  const sent = request({ socketPath, path, method: "GET", headers: { accept: "text/event-stream" }, signal });
  sent.end();
  const response = await responseOf(sent);
  if (response.statusCode !== 200) throw new RunnerRefused(response.statusCode ?? 0, await textOf(response));
  for await (const data of sseData(response)) {
    const parsed = parseEvent(data);
    if (parsed.why) logger.error({ why: parsed.why, n: parsed.n }, "the runner sent something that is no event");
    if (parsed.n !== undefined) yield { n: parsed.n, event: parsed.event };
  }
}

const numberOnly = z.object({ n: z.number().int().positive() });

function parseEvent(data: string): { n?: number; event?: RunEvent; why?: string } {
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch (error) {
    return { why: String(error) };
  }
  const parsed = runnerEventSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  return { n: numberOnly.safeParse(json).data?.n, why: parsed.error.message.slice(0, 1_000) };
}

async function call(socketPath: string, path: string, body: unknown, signal: AbortSignal): Promise<void> {
  const json = JSON.stringify(body);
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(json) };
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
  await mustBeSocket(socketPath);
  const sent = request({ socketPath, path, method: "POST", headers, signal: bounded });
  sent.end(json);
  const response = await responseOf(sent);
  const text = await textOf(response);
  const status = response.statusCode ?? 0;
  if (status < 200 || status > 299) throw new RunnerRefused(status, text.slice(0, 1_000));
}

/** The folder belongs to the worker, which must not send the daemon to another service's socket by a link. */
async function mustBeSocket(socketPath: string): Promise<void> {
  if (!(await isSocket(socketPath))) throw new NoSocket(`${socketPath} is no socket`);
}

class NoSocket extends Error {}

/** True when it is certain that nothing of a request was heard: there was no connection that it could have gone over. */
export function nobodyListened(error: unknown): boolean {
  if (error instanceof NoSocket) return true;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ECONNREFUSED" || code === "ENOENT";
}

function responseOf(sent: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.once("response", resolve);
    sent.once("error", reject);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const bytes of response) {
    text += bytes;
    if (text.length > MAX_ANSWER_BYTES) break;
  }
  return text;
}
