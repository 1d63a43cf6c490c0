/** A run as the body of a UI message stream: `data: {chunk}` lines, and `data: [DONE]` when the run is over. */
import { followRun, type StartedRun } from "../routes/run-start.ts";
import { SSE_HEADERS } from "../sse.ts";
import { ChatProjection } from "./projection.ts";
import { Said } from "./said.ts";

export const CHAT_HEADERS = { ...SSE_HEADERS, "x-vercel-ai-ui-message-stream": "v1" } as const;

/**
 * The message of a run from its beginning, then live. Breaks off when the run cannot be followed any further; a client
 * that comes back is told everything again.
 */
export function chatStream(run: StartedRun): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const left = new AbortController();
  const texts = chatTexts(run, left.signal);
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await texts.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    cancel: () => left.abort(),
  });
}

async function* chatTexts(run: StartedRun, left: AbortSignal): AsyncGenerator<string> {
  const said = new Said();
  // Said once, a chunk cannot be taken back. Where events were folded of which some were told, all is read again from the
  // beginning, where it is folded, and what was said is left out.
  for (let folded = true; folded; ) {
    folded = false;
    const projection = new ChatProjection(run);
    said.again();
    let at = run.cursor;
    for await (const event of followRun(run, left)) {
      folded = event.from !== undefined && event.from <= at;
      if (folded) break;
      at = event.seq;
      const chunks = said.fresh(projection.take(event));
      if (chunks.length > 0) yield chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("");
    }
  }
  if (!left.aborted) yield "data: [DONE]\n\n";
}
