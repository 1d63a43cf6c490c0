/** What a run's events are to an AI SDK client, as a table; and every chunk as the SDK's own schema sees it. */
import { asSchema, readUIMessageStream, type UIMessage, type UIMessageChunk, uiMessageChunkSchema } from "ai";
import { describe, expect, test } from "vitest";
import type { NewEvent, SessionEvent } from "#protocol/events.ts";
import { ChatProjection } from "../../worker/chat/projection.ts";

const sessionId = "ses_0123456789abcdefghij";
const runId = "run_0123456789abcdefghij-0123456789";
const run = { sessionId, runId };

type Data<T extends NewEvent["type"]> = Extract<NewEvent, { type: T }>["data"];
const event = <T extends NewEvent["type"]>(type: T, data: Data<T>): NewEvent =>
  ({ type, runId, data }) as unknown as NewEvent;
/** Chunks as a host may send them: nothing but the tag was checked. */
const said = (...chunks: object[]) => event("message.delta", { messageId: "m1", chunks: chunks as UIMessageChunk[] });
const succeeded = event("run.finished", { outcome: "succeeded" });

function project(...events: NewEvent[]): UIMessageChunk[] {
  const projection = new ChatProjection(run);
  return events.flatMap((each, index) =>
    projection.take({ v: 1, seq: index + 1, at: index, sessionId, traceId: "t", ...each } as SessionEvent),
  );
}

const start = (messageId = "m1") => ({ type: "start", messageId, messageMetadata: run });
const finish = (finishReason: string, more: object) => ({
  type: "finish",
  finishReason,
  messageMetadata: { ...run, reason: undefined, evidence: undefined, usage: undefined, ...more },
});
const done = finish("stop", { outcome: "succeeded" });
const textStart = { type: "text-start", id: "t" };
const text = { type: "text-delta", id: "t", delta: "hello" };
const textEnd = { type: "text-end", id: "t" };
const items = [{ id: "1", text: "first", status: "pending" as const }];
const request = {
  requestId: "req_1",
  kind: "permission" as const,
  title: "Run?",
  detail: {},
  options: [],
  multiple: false,
};
const usage = {
  inputTokens: 1,
  outputTokens: 2,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  durationMs: 3,
};
const tool = {
  type: "tool-input-available",
  toolCallId: "c",
  toolName: "bash",
  input: { command: "ls" },
  dynamic: true,
};
const output = { type: "tool-output-available", toolCallId: "c", output: "x", dynamic: true };

type Row = [what: string, events: NewEvent[], chunks: object[]];
const rows: Row[] = [
  ["an empty run is an empty message", [succeeded], [start(runId), done]],
  [
    "chunks pass as they are",
    [said(textStart, text), said(textEnd), succeeded],
    [start(), textStart, text, textEnd, done],
  ],
  ["tools pass as they are", [said(tool), said(output), succeeded], [start(), tool, output, done]],
  [
    "a second message of the run goes on in the same answer",
    [
      said(textStart, text, textEnd),
      event("message.stop", { messageId: "m1", text: "hello" }),
      event("message.delta", { messageId: "m2", chunks: [textStart, text, textEnd] as UIMessageChunk[] }),
      succeeded,
    ],
    [start(), textStart, text, textEnd, textStart, text, textEnd, done],
  ],
  [
    "the state is told and not kept",
    [event("run.status", { state: "preparing", detail: "starting a container", attempt: 1 }), said(textStart, textEnd)],
    [
      {
        type: "data-status",
        data: { state: "preparing", detail: "starting a container", attempt: 1 },
        transient: true,
      },
      start(),
      textStart,
      textEnd,
    ],
  ],
  [
    "todos are always the same part, and wait for the message's id",
    [
      event("todo.update", { items: [] }),
      event("todo.update", { items }),
      said(textStart),
      event("todo.update", { items: [] }),
    ],
    [
      start(),
      { type: "data-todo", id: "todo", data: { items } },
      textStart,
      { type: "data-todo", id: "todo", data: { items: [] } },
    ],
  ],
  [
    "a request is a part of its own, which its answer completes",
    [
      event("human_loop.requested", request),
      event("human_loop.resolved", { requestId: "req_1", decision: "allow", by: { id: "u", name: "U" } }),
    ],
    [
      start(runId),
      { type: "data-human-loop", id: "req_1", data: { ...request, state: "pending" } },
      {
        type: "data-human-loop",
        id: "req_1",
        data: { ...request, state: "resolved", decision: "allow", by: { id: "u", name: "U" } },
      },
    ],
  ],
  [
    "a request that nobody answered ends with its run",
    [said(textStart, textEnd), event("human_loop.requested", request), event("run.finished", { outcome: "cancelled" })],
    [
      start(),
      textStart,
      textEnd,
      { type: "data-human-loop", id: "req_1", data: { ...request, state: "pending" } },
      { type: "data-human-loop", id: "req_1", data: { ...request, state: "resolved", decision: "cancelled" } },
      { type: "abort" },
      finish("other", { outcome: "cancelled" }),
    ],
  ],
  [
    "an answer to what was never asked says nothing",
    [event("human_loop.resolved", { requestId: "req_9", decision: "deny" })],
    [],
  ],
  [
    "a failure gives its reason, and closes what was open",
    [
      said(textStart, text),
      event("run.finished", { outcome: "failed", reason: "host_lost", evidence: "gone for 20 s" }),
    ],
    [
      start(),
      textStart,
      text,
      textEnd,
      { type: "error", errorText: "host_lost: gone for 20 s" },
      finish("error", { outcome: "failed", reason: "host_lost", evidence: "gone for 20 s" }),
    ],
  ],
  [
    "too long is a failure",
    [event("run.finished", { outcome: "timed_out" })],
    [start(runId), { type: "error", errorText: "timeout" }, finish("error", { outcome: "timed_out" })],
  ],
  [
    "a cancelled run is aborted, with whatever reason there is",
    [event("run.finished", { outcome: "cancelled", evidence: "enough" })],
    [start(runId), { type: "abort", reason: "enough" }, finish("other", { outcome: "cancelled", evidence: "enough" })],
  ],
  [
    "usage comes with the end",
    [event("usage.recorded", usage), succeeded],
    [start(runId), finish("stop", { outcome: "succeeded", usage })],
  ],
  [
    "what belongs to the session is not part of an answer",
    [
      event("session.updated", { title: "x" }),
      event("worker.status", { state: "active" }),
      event("workspace.synced", { snapshotId: "s", files: 1, bytesSent: 1 }),
    ],
    [],
  ],
];

describe("[P-30] the chunks of a run", () => {
  test.each(rows)("%s", (_what, events, chunks) => expect(project(...events)).toEqual(chunks));

  test.each(rows)("%s: the same again", (_what, events) => expect(project(...events)).toEqual(project(...events)));
});

const bad: [what: string, ...chunks: object[]][] = [
  ["a type that is not known", { type: "hologram", id: "t" }],
  ["a type that an object has by nature", { type: "constructor" }, { type: "__proto__" }],
  ["a text that nobody began", { type: "text-delta", id: "x", delta: "?" }, { type: "text-end", id: "x" }],
  ["a reasoning under a text's id", textStart, { type: "reasoning-delta", id: "t", delta: "?" }],
  ["more of a text that has ended", textStart, textEnd, text, textEnd],
  ["a delta without text", textStart, { type: "text-delta", id: "t" }],
  ["a delta that is no text", textStart, { type: "text-delta", id: "t", delta: 7 }],
  ["a text without id", { type: "text-start" }],
  ["input of a tool that nobody called", { type: "tool-input-delta", toolCallId: "x", inputTextDelta: "{" }],
  ["output of a tool that nobody called", { type: "tool-output-available", toolCallId: "x", output: 1 }],
  ["a denial of what nobody called", { type: "tool-output-denied", toolCallId: "x" }],
  ["an approval that nobody asked for", tool, { type: "tool-approval-response", approvalId: "x", approved: true }],
  ["a tool with a title of a kind", { ...tool, title: { a: 1 } }],
  ["a tool whose answer is taken back with its step", { type: "start-step" }, tool, { type: "reset-step" }, output],
  ["data with an id that is none", { type: "data-x", id: 7, data: 1 }],
  ["metadata of nothing", { ...textStart, providerMetadata: null }],
  ["the provider's own frame", { type: "start", messageId: "other" }, { type: "finish" }, { type: "abort" }],
  ["the provider's own last words", { type: "error", errorText: "boom" }],
];

async function schemaAccepts(chunk: UIMessageChunk): Promise<boolean | undefined> {
  // What JSON makes of it is what the client gets.
  return (await asSchema(uiMessageChunkSchema).validate?.(JSON.parse(JSON.stringify(chunk))))?.success;
}

/** The message, or what the SDK's client says against it. */
async function readBack(chunks: UIMessageChunk[]): Promise<UIMessage | undefined> {
  const complaints: unknown[] = [];
  const stream = new ReadableStream<UIMessageChunk>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  let message: UIMessage | undefined;
  for await (const state of readUIMessageStream({ stream, onError: (error) => complaints.push(error) }))
    message = state;
  expect(complaints.filter((complaint) => !String(complaint).includes("host_lost"))).toEqual([]);
  return message;
}

describe("[P-31] the AI SDK's client takes", () => {
  const told = rows.filter(([, , chunks]) => !chunks.some((chunk) => "errorText" in chunk));
  test.each(told)("%s", async (_what, events) => {
    const chunks = project(...events);
    for (const chunk of chunks) expect(await schemaAccepts(chunk), JSON.stringify(chunk)).toBe(true);
    await readBack(chunks);
  });

  test.each(bad)("an answer in spite of %s", async (_what, ...wrong) => {
    const before = said({ type: "text-start", id: "before" }, { type: "text-delta", id: "before", delta: "a" });
    const after = said({ type: "text-delta", id: "before", delta: "b" });
    const chunks = project(before, said(...wrong), after, succeeded);
    for (const chunk of chunks) expect(await schemaAccepts(chunk), JSON.stringify(chunk)).toBe(true);
    const message = await readBack(chunks);
    expect(message?.id).toBe("m1");
    if (!wrong.some((chunk) => "type" in chunk && chunk.type === "reset-step")) {
      expect(message?.parts.find((part) => part.type === "text")).toMatchObject({ text: "ab", state: "done" });
    }
  });

  test("every kind of chunk that the SDK knows, when it is whole", async () => {
    const good = [
      { type: "start-step" },
      { type: "reasoning-start", id: "r" },
      { type: "reasoning-delta", id: "r", delta: "hm" },
      { type: "reasoning-end", id: "r", providerMetadata: { p: { signature: "s" } } },
      { type: "tool-input-start", toolCallId: "c", toolName: "bash", dynamic: true, title: "Bash" },
      { type: "tool-input-delta", toolCallId: "c", inputTextDelta: "{}" },
      tool,
      { type: "tool-approval-request", toolCallId: "c", approvalId: "a" },
      { type: "tool-approval-response", approvalId: "a", approved: true },
      { ...output, preliminary: true },
      output,
      { type: "tool-input-error", toolCallId: "d", toolName: "bash", input: 1, errorText: "no" },
      { type: "tool-output-error", toolCallId: "d", errorText: "no" },
      { type: "tool-output-denied", toolCallId: "c" },
      { type: "source-url", sourceId: "s", url: "https://example.test" },
      { type: "source-document", sourceId: "s", mediaType: "text/plain", title: "T" },
      { type: "file", url: "data:,x", mediaType: "text/plain" },
      { type: "reasoning-file", url: "data:,x", mediaType: "text/plain" },
      { type: "custom", kind: "a.b" },
      { type: "steering-message", id: "s", parts: [{ type: "text", text: "left" }] },
      { type: "message-metadata", messageMetadata: { a: 1 } },
      { type: "data-any", data: [1] },
      { type: "finish-step" },
      { type: "start-step" },
      textStart,
      { type: "reset-step" },
    ];
    const chunks = project(said(...good), succeeded);
    expect(chunks).toEqual([start(), ...good, done]);
    for (const chunk of chunks) expect(await schemaAccepts(chunk), JSON.stringify(chunk)).toBe(true);
    await readBack(chunks);
  });
});
