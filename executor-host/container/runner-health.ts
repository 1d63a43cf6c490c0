/**
 * Asks a runner for its health over its Unix socket, and waits until a starting one answers. One try has its own limit,
 * because a process can take a connection and never answer; between tries there is a pause that grows with the wait.
 */
import { request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { healthSchema, type RunnerHealth } from "#protocol/runner-api.ts";
import { PROTOCOL_VERSION, speaks } from "#protocol/version.ts";
import { isSocket } from "./socket-path.ts";

const tryTimeoutMs = 2_000;
const shortestPauseMs = 5;
const longestPauseMs = 200;
/** A container's runner takes 200 to 400 ms to come up, and a run waits for it: looking too rarely cost up to 100 of them. */
const pauseShare = 0.02;
const bodyBytes = 256 * 1024;

/**
 * One question.
 * @throws Error when nobody answers within `timeoutMs`, or the answer is not a health report of a protocol spoken here
 */
export async function askHealth(
  path: string,
  timeoutMs: number = tryTimeoutMs,
  signal?: AbortSignal,
): Promise<RunnerHealth> {
  if (!(await isSocket(path))) throw new Error("the runner has not opened its socket");
  const timeout = AbortSignal.timeout(timeoutMs);
  const body = await get(path, signal ? AbortSignal.any([signal, timeout]) : timeout).catch((error: unknown) => {
    if (timeout.aborted) throw new Error(`the runner took the connection and gave no answer in ${timeoutMs} ms`);
    throw error;
  });
  const health = healthSchema.parse(JSON.parse(body));
  if (speaks(health.protocol)) return health;
  throw new UnspokenProtocol(
    `the runner speaks protocol ${health.protocol}, this host speaks ${PROTOCOL_VERSION}: install the toolkit again`,
  );
}

/** Waiting longer will not help. */
class UnspokenProtocol extends Error {}

/**
 * Waits until the runner answers.
 * @throws Error with the last refusal when it does not within `timeoutMs`; the signal's reason when aborted
 */
export async function waitForHealth(path: string, timeoutMs: number, signal: AbortSignal): Promise<RunnerHealth> {
  const began = performance.now();
  const deadline = began + timeoutMs;
  for (;;) {
    signal.throwIfAborted();
    const leftMs = deadline - performance.now();
    try {
      return await askHealth(path, Math.max(1, Math.min(tryTimeoutMs, Math.ceil(leftMs))), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof UnspokenProtocol) throw error;
      if (performance.now() >= deadline) {
        throw new Error(`no health from the runner in ${timeoutMs} ms: ${messageOf(error)}`, { cause: error });
      }
    }
    const now = performance.now();
    await delay(Math.min(pauseAfter(now - began), deadline - now), undefined, { signal }).catch(() =>
      signal.throwIfAborted(),
    );
  }
}

/** How long to wait before the next try: whoever comes up after `waitedMs` is found at most 2 % of that later, or 5 ms. */
export function pauseAfter(waitedMs: number): number {
  return Math.min(longestPauseMs, Math.max(shortestPauseMs, waitedMs * pauseShare));
}

function get(socketPath: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, path: "/health", host: "runner", agent: false, signal }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > bodyBytes) asking.destroy(new Error("the runner's health report is too long"));
        else chunks.push(chunk);
      });
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString("utf8"));
        else reject(new Error(`GET /health answered ${response.statusCode}`));
      });
    });
    asking.on("error", reject);
    asking.end();
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
