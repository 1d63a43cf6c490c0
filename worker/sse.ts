/** Reading and passing on Server-Sent Events. */

export type SseMessage = { id?: string; event?: string; data: string };

/**
 * The messages of an SSE body, as they arrive. Ends when the body ends; comments and `retry` are dropped.
 * @throws what the body throws
 */
export async function* readSse(body: AsyncIterable<Uint8Array>): AsyncGenerator<SseMessage> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of body) {
    const blocks = (rest + decoder.decode(bytes, { stream: true })).split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const message = parseBlock(block);
      if (message) yield message;
    }
  }
}

/** A body's bytes until it ends or the reader leaves; the body is let go in either case. */
export async function* untilLeft(body: ReadableStream<Uint8Array>, left?: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  const leave = () => void reader.cancel();
  left?.addEventListener("abort", leave);
  try {
    for (;;) {
      const { value } = await reader.read();
      if (value === undefined || left?.aborted) return;
      yield value;
    }
  } finally {
    left?.removeEventListener("abort", leave);
    await reader.cancel();
  }
}

function parseBlock(block: string): SseMessage | undefined {
  const message: { id?: string; event?: string } = {};
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const value = line.slice(colon + 1).replace(/^ /, "");
    const field = line.slice(0, colon);
    if (field === "data") data.push(value);
    else if (field === "id" || field === "event") message[field] = value;
  }
  return data.length > 0 ? { ...message, data: data.join("\n") } : undefined;
}

/** Headers of an event stream; no proxy on the way may hold events back. */
export const SSE_HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const;
