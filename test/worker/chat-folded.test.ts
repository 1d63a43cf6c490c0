/** A chat whose source broke off, and was folded before it could be read again. */
import type { UIMessageChunk } from "ai";
import { expect, test } from "vitest";
import type { SessionEvent } from "#protocol/events.ts";
import { foldDeltas } from "../../durable/session/fold-deltas.ts";
import { chatStream } from "../../worker/chat/chat-stream.ts";
import type { StartedRun } from "../../worker/routes/run-start.ts";

const runId = "run_1";
const delta = (...chunks: object[]) => ({ type: "message.delta", data: { messageId: "m", chunks } });
const word = (text: string, id = "1") => delta({ type: "text-delta", id, delta: text });
const EVENTS = [
  { type: "run.status", data: { state: "running" } },
  delta({ type: "reasoning-start", id: "r" }, { type: "reasoning-delta", id: "r", delta: "So" }),
  delta({ type: "reasoning-delta", id: "r", delta: " be" }, { type: "reasoning-delta", id: "r", delta: " it" }),
  delta({ type: "reasoning-end", id: "r" }, { type: "text-start", id: "1" }),
  word("a"),
  word(""),
  word("bc"),
  { type: "todo.update", data: { items: [] } },
  word("d"),
  delta({ type: "text-end", id: "1" }, { type: "start-step" }, { type: "text-start", id: "2" }),
  word("e", "2"),
  word("f", "2"),
  { type: "run.finished", data: { outcome: "succeeded" } },
].map(
  (event, index) =>
    ({ v: 1, seq: index + 2, at: index, sessionId: "ses_1", runId, traceId: "t", ...event }) as SessionEvent,
);

/** A session whose stream breaks after so many events, and which has folded them when it is asked again. */
function breaking(after: number): StartedRun {
  let asked = 0;
  const fetch = async (request: Request) => {
    const cursor = Number(new URL(request.url).searchParams.get("cursor"));
    const events = asked++ === 0 ? EVENTS.slice(0, after) : [...foldDeltas(EVENTS)];
    const told = events.filter(({ seq }) => seq > cursor);
    return new Response(told.map((event) => `id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`).join(""));
  };
  return { session: { fetch } as unknown as StartedRun["session"], sessionId: "ses_1", runId, cursor: 1 };
}

async function told(run: StartedRun): Promise<UIMessageChunk[]> {
  const text = await new Response(chatStream(run)).text();
  expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
  return text
    .split("\n\n")
    .filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice(6)) as UIMessageChunk);
}

/** Neighbouring text as one chunk, however many pieces it came in. */
function joined(chunks: readonly UIMessageChunk[]): UIMessageChunk[] {
  const all: UIMessageChunk[] = [];
  for (const chunk of chunks) {
    const last = all.at(-1);
    if (last && "delta" in last && "delta" in chunk && last.type === chunk.type && last.id === chunk.id)
      all[all.length - 1] = { ...last, delta: `${last.delta}${chunk.delta}` } as UIMessageChunk;
    else all.push(chunk);
  }
  return all;
}

test("[P-32] [P-36] broken off after any event, the rest of a message that was folded meanwhile is told, and nothing twice", async () => {
  const whole = joined(await told(breaking(EVENTS.length)));
  expect(whole.filter(({ type }) => type === "text-delta")).toEqual([
    { type: "text-delta", id: "1", delta: "abc" },
    { type: "text-delta", id: "1", delta: "d" },
    { type: "text-delta", id: "2", delta: "ef" },
  ]);
  for (let after = 0; after < EVENTS.length; after++) {
    expect(joined(await told(breaking(after))), `after ${after}`).toEqual(whole);
  }
});
