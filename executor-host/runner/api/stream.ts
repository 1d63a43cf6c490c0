/**
 * A run's events as Server-Sent Events: `id` is n, `event` the type, `data` the RunnerEvent. The stream reads the spool
 * at the pace of its reader and ends after run.finished.
 */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { Clock } from "../clock.ts";
import type { Spool } from "../spool.ts";

const KEEP_ALIVE_MS = 15_000;

/** Resolves when everything has been sent or the reader has gone. */
export async function streamEvents(
  response: ServerResponse,
  spool: Spool,
  cursor: number,
  clock: Clock,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    // A connection that has carried a stream carries nothing else, so that a runner that leaves need not wait for it.
    connection: "close",
  });
  response.flushHeaders();
  const stopKeepAlive = keepAlive(response, clock);
  try {
    for await (const batch of spool.follow(cursor, gone.signal)) {
      const text = batch.map(({ n, type, json }) => `id: ${n}\nevent: ${type}\ndata: ${json}\n\n`).join("");
      if (!response.write(text)) await drained(response, gone.signal);
    }
  } finally {
    stopKeepAlive();
    response.end();
  }
}

/** A comment now and then, so that a reader can tell a quiet run from a dead connection. */
function keepAlive(response: ServerResponse, clock: Clock): () => void {
  let cancel = () => {};
  const next = () => {
    cancel = clock.after(KEEP_ALIVE_MS, () => {
      // A reader that does not take what it has been sent is not helped by more.
      if (!response.writableNeedDrain) response.write(": still here\n\n");
      next();
    });
  };
  next();
  return () => cancel();
}

async function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  try {
    await once(response, "drain", { signal });
  } catch (error) {
    if (!signal.aborted) throw error; // aborted: the reader has gone, the loop sees it
  }
}
