/** The AI SDK's own client against the real Worker: its transport, its reader, the engine of `useChat`. */
import { DefaultChatTransport, readUIMessageStream, type UIMessage, type UIMessageChunk } from "ai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunEvent } from "#protocol/events.ts";
import { newId } from "#protocol/ids.ts";
import { LIMITS } from "#protocol/limits.ts";
import { addCaller, bootstrap, type Caller, firstCaller, otherCaller } from "../support/accounts.ts";
import { HostedRun } from "../support/hosted-run.ts";
import { MemoryChat } from "../support/memory-chat.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import { sharedWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

let worker: WorkerUnderTest;
let me: Caller;
let host: ScriptedHost;
beforeAll(async () => {
  worker = await sharedWorker();
  me = await firstCaller(worker);
  host = await ScriptedHost.online(worker.origin, (await bootstrap(worker, ["joinToken"])).joinToken, { slots: 50 });
});
afterAll(async () => {
  await host.control.close();
  await worker.close();
});

type Options = ConstructorParameters<typeof DefaultChatTransport<UIMessage>>[0];
const transport = (options: Options = {}, caller = me) =>
  new DefaultChatTransport<UIMessage>({
    api: `${worker.origin}/api/chat`,
    headers: { authorization: `Bearer ${caller.token}` },
    ...options,
  });
const asked = (text: string, id: string = newId("msg")): UIMessage => ({
  id,
  role: "user",
  parts: [{ type: "text", text }],
});
const send = (chatId: string, messages: UIMessage[], options: Options = {}, caller = me) =>
  transport(options, caller).sendMessages({
    chatId,
    messages,
    trigger: "submit-message",
    messageId: undefined,
    abortSignal: undefined,
  });

async function lastState(stream: ReadableStream<UIMessageChunk>): Promise<UIMessage | undefined> {
  let last: UIMessage | undefined;
  for await (const message of readUIMessageStream({ stream, terminateOnError: true })) last = message;
  return last;
}
async function chunksOf(stream: ReadableStream<UIMessageChunk>): Promise<UIMessageChunk[]> {
  return await Array.fromAsync(stream as unknown as AsyncIterable<UIMessageChunk>);
}
const runsOf = async (sessionId: string) =>
  (
    await me.call<{ view: { runs: { id: string; messageId: string; state: string }[] } }>(
      "GET",
      `/api/sessions/${sessionId}`,
    )
  ).body.view.runs;

const delta = (...chunks: object[]): RunEvent => ({
  type: "message.delta",
  data: { messageId: "msg_1", chunks: chunks as UIMessageChunk[] },
});
const finished: RunEvent = { type: "run.finished", data: { outcome: "succeeded" } };
const greeting = delta(
  { type: "text-start", id: "t" },
  { type: "text-delta", id: "t", delta: "hello" },
  { type: "text-end", id: "t" },
);
const item = { id: "1", text: "Grüße schreiben 🙂" };
/** One of everything, in several frames. */
const PLAY: RunEvent[][] = [
  [delta({ type: "reasoning-start", id: "r" }, { type: "reasoning-delta", id: "r", delta: "Let me see…" })],
  [
    delta({ type: "reasoning-end", id: "r" }),
    { type: "todo.update", data: { items: [{ ...item, status: "pending" }] } },
  ],
  [
    delta(
      { type: "tool-input-start", toolCallId: "c", toolName: "bash", dynamic: true },
      { type: "tool-input-delta", toolCallId: "c", inputTextDelta: '{"command":"ls"}' },
      { type: "tool-input-available", toolCallId: "c", toolName: "bash", dynamic: true, input: { command: "ls" } },
    ),
    delta({ type: "tool-output-available", toolCallId: "c", output: "a.txt\n", dynamic: true }),
  ],
  [{ type: "todo.update", data: { items: [{ ...item, status: "completed" }] } }],
  [delta({ type: "text-start", id: "t" }, { type: "text-delta", id: "t", delta: "Grüße, " })],
  [delta({ type: "text-delta", id: "t", delta: "Ende 🙂" }, { type: "text-end", id: "t" })],
];
/** A body whose network is gone after so many bytes. */
function brokenAfter(body: ReadableStream<Uint8Array>, count: number): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let left = count;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value } = left > 0 ? await reader.read() : {};
      if (value) controller.enqueue(value.subarray(0, left));
      left -= value?.length ?? left;
      if (left > 0) return;
      await reader.cancel();
      controller.error(new TypeError("network error"));
    },
  });
}
const hasAll = (message: UIMessage | undefined) =>
  message?.parts.some((part) => part.type === "text" && part.text.endsWith("Ende 🙂") && part.state === "done") ??
  false;

describe("a chat", () => {
  test("[P-28] under any name is one session of whoever asks, which its first message makes", async () => {
    const name = `my chat/${newId("cmd")} ü`;
    expect(await transport().reconnectToStream({ chatId: name }), "before anything was said").toBeNull();
    const first = chunksOf(await send(name, [asked("first words\nmore")]));
    const hosted = await HostedRun.first(host);
    expect(hosted.run.prompt).toBe("first words\nmore");
    const { sessionId } = hosted.run;
    await hosted.told(greeting, finished);
    await first;
    const again = chunksOf(await send(name, [asked("ignored"), asked("second")]));
    const next = await hosted.next();
    expect(next.run).toMatchObject({ sessionId, prompt: "second" });
    await next.told(greeting, finished);
    await again;
    expect((await me.call("GET", `/api/sessions/${sessionId}`)).body).toMatchObject({
      session: { title: "first words" },
    });
    expect(await runsOf(sessionId)).toHaveLength(2);

    const colleague = await addCaller(worker, me.organizationId, "member");
    expect(await transport({}, colleague).reconnectToStream({ chatId: name }), "a name is one's own").toBeNull();
    const byId = chunksOf(await send(sessionId, [asked("third")], {}, colleague));
    const third = await next.next();
    expect(third.run).toMatchObject({ sessionId, prompt: "third" });
    await third.told(greeting, finished);
    await byId;
  });

  test("[P-29] the same message again is the same run and the same answer", async () => {
    const chatId = newId("cmd");
    const message = asked("once");
    const first = lastState(await send(chatId, [message]));
    const hosted = await HostedRun.first(host);
    const meanwhile = lastState(await send(chatId, [message]));
    await hosted.told(...PLAY.flat(), finished);
    const later = lastState(await send(chatId, [message]));
    expect(hasAll(await first)).toBe(true);
    expect(await first).toEqual(await meanwhile);
    expect(await later).toEqual(await first);
    expect(await runsOf(hosted.run.sessionId)).toMatchObject([{ messageId: message.id, state: "finished" }]);
    const [run] = await runsOf(hosted.run.sessionId);
    expect(run?.id).toBe(hosted.run.runId);

    const other = me.call("POST", "/api/chat", { id: chatId, messages: [asked("twice", message.id)] });
    expect(await other).toMatchObject({ status: 409, body: { reason: "idempotency_conflict" } });
  });

  test("[P-29] an edit and an answer asked for again are runs of their own, each once", async () => {
    const chatId = newId("cmd");
    const chat = new MemoryChat({ id: chatId, transport: transport() });
    const sent = chat.sendMessage({ text: "one" });
    const hosted = await HostedRun.first(host);
    await hosted.told(greeting, finished);
    await sent;
    const [question, answer] = chat.messages;
    const body = (trigger: string, text: string, messageId?: string) => ({
      id: chatId,
      messages: [{ ...question, parts: [{ type: "text", text }] }],
      trigger,
      messageId,
    });
    const edited = chat.sendMessage({ text: "two", messageId: question?.id });
    const second = await hosted.next();
    expect(second.run.prompt).toBe("two");
    await second.told(greeting, finished);
    await edited;
    expect(await me.call("POST", "/api/chat", body("submit-message", "two", question?.id))).toMatchObject({
      status: 200,
    });
    const again = chat.regenerate({ messageId: chat.messages[1]?.id });
    const third = await second.next();
    expect(third.run.prompt).toBe("two");
    await third.told(greeting, finished);
    await again;
    expect(
      await me.call("POST", "/api/chat", body("regenerate-message", "two", answer?.id)),
      "the same request again",
    ).toMatchObject({ status: 200 });
    expect(await runsOf(hosted.run.sessionId)).toHaveLength(3);
    expect(chat.messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
  });

  test("[P-30] tells what fails, what is asked and what is cancelled", async () => {
    const failures: string[] = [];
    const chat = new MemoryChat({
      id: newId("cmd"),
      transport: transport(),
      onError: (error) => failures.push(error.message),
    });
    const statuses: unknown[] = [];
    const watching = new MemoryChat({
      id: chat.id,
      transport: transport(),
      onData: (part) => part.type === "data-status" && statuses.push((part.data as { state: string }).state),
    });
    const sent = chat.sendMessage({ text: "fail" });
    const hosted = await HostedRun.first(host);
    const watched = watching.resumeStream();
    await watching.until("the stream", ({ status }) => status !== "ready");
    await hosted.told(greeting, {
      type: "run.finished",
      data: { outcome: "failed", reason: "rate_limited", evidence: "429 from the provider" },
    });
    await Promise.all([sent, watched]);
    expect(failures).toEqual(["rate_limited: 429 from the provider"]);
    expect(chat).toMatchObject({ status: "error" });
    expect(statuses).toContain("running");
    expect(watching.lastMessage?.parts).toEqual([{ type: "text", text: "hello", state: "done" }]);

    const stopped = chunksOf(await send(chat.id, [asked("ask and stop")]));
    const second = await hosted.next();
    const requestId = `req_${second.run.sessionId.slice(4)}-0123456789`;
    await second.told({
      type: "human_loop.requested",
      data: { requestId, kind: "permission", title: "Run?", detail: {}, options: [], multiple: false },
    });
    await me.call("POST", "/api/human-loop/reply", { requestId, decision: "deny" });
    expect((await me.call("POST", `/api/runs/${second.run.runId}/stop`, {})).status).toBe(202);
    await second.told({ type: "run.finished", data: { outcome: "cancelled" } });
    const chunks = await stopped;
    expect(chunks.filter(({ type }) => type === "data-human-loop")).toMatchObject([
      { id: requestId, data: { state: "pending", title: "Run?" } },
      { id: requestId, data: { state: "resolved", title: "Run?", decision: "deny" } },
    ]);
    expect(chunks.slice(-2)).toMatchObject([{ type: "abort" }, { type: "finish" }]);
  });

  test("[P-30] the answer says what it is, and ends with [DONE]", async () => {
    const id = newId("cmd");
    const answer = worker.fetch("/api/chat", {
      method: "POST",
      headers: { authorization: `Bearer ${me.token}`, "content-type": "application/json" },
      body: JSON.stringify({ id, message: asked("x") }),
    });
    const hosted = await HostedRun.first(host);
    await hosted.told(greeting, finished);
    const response = await answer;
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "x-vercel-ai-ui-message-stream": "v1",
      "x-run-id": hosted.run.runId,
      "x-session-id": hosted.run.sessionId,
    });
    const text = await response.text();
    expect(text).toMatch(/^(data: \{.*\}\n\n)+data: \[DONE\]\n\n$/);
  });
});

describe("[P-32] an answer that is cut", () => {
  const chatId = newId("cmd");
  const message = asked("everything, please");
  let hosted: HostedRun;
  /** The answer, and what somebody who came in its middle was told, byte by byte. */
  let answered: Promise<Uint8Array<ArrayBuffer>>;
  let resumed: Promise<Uint8Array<ArrayBuffer>>;
  let uncut: UIMessage | undefined;

  const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());
  const headers = () => ({ authorization: `Bearer ${me.token}`, "content-type": "application/json" });
  beforeAll(async () => {
    const body = JSON.stringify({ id: chatId, messages: [message] });
    answered = worker.fetch("/api/chat", { method: "POST", headers: headers(), body }).then(bytesOf);
    hosted = await HostedRun.first(host);
    for (const events of PLAY.slice(0, 3)) await hosted.told(...events);
    resumed = worker.fetch(`/api/chat/${chatId}/stream`, { headers: headers() }).then(bytesOf);
    for (const events of PLAY.slice(3)) await hosted.told(...events);
    const chat = new MemoryChat({ id: chatId, transport: transport() });
    void chat.sendMessage(message);
    await chat.until("everything", ({ lastMessage }) => hasAll(lastMessage));
    uncut = chat.lastMessage;
    await chat.stop();
  });

  /** Sends the message, loses the network, and comes back. */
  async function cutAndComeBack(at: string, cut: () => Promise<Response>, resume: typeof fetch): Promise<MemoryChat> {
    const chat = new MemoryChat({
      id: chatId,
      transport: transport({ fetch: (url, init) => (init?.method === "POST" ? cut() : resume(url, init)) }),
    });
    await chat.sendMessage(message);
    expect(chat.status, at).toBe("error");
    void chat.resumeStream();
    await chat.until(`everything, ${at}`, ({ lastMessage }) => hasAll(lastMessage));
    return chat;
  }

  test("while the run goes on, is taken up from the server", async () => {
    for (let count = 0; count < 1_200; count += 97) {
      const cut = async (): Promise<Response> => {
        const body = JSON.stringify({ id: chatId, messages: [message] });
        const { body: whole } = await worker.fetch("/api/chat", { method: "POST", headers: headers(), body });
        return new Response(whole && brokenAfter(whole, count));
      };
      const chat = await cutAndComeBack(`cut after ${count}`, cut, fetch);
      expect(chat.messages).toEqual([message, uncut]);
      await chat.stop();
    }
  });

  test("ends for everyone who took it up alike, and there is nothing to take up after that", async () => {
    const taken = Array.from({ length: 20 }, () => transport().reconnectToStream({ chatId }));
    const streams = await Promise.all([...taken, send(chatId, [message])]);
    const reading = streams.map((stream) => (stream ? lastState(stream) : undefined));
    await hosted.told({ type: "message.stop", data: { messageId: "msg_1", text: "Grüße, Ende 🙂" } }, finished);
    const messages = await Promise.all(reading);
    expect(new Set(messages.map((each) => JSON.stringify(each))).size).toBe(1);
    expect(messages[0]?.parts).toEqual(uncut?.parts);
    expect(messages[0]).toMatchObject({ id: "msg_1", metadata: { runId: hosted.run.runId, outcome: "succeeded" } });
    expect(await transport().reconnectToStream({ chatId })).toBeNull();
    expect(await transport().reconnectToStream({ chatId: hosted.run.sessionId })).toBeNull();
    expect(await lastState(await send(chatId, [message]))).toEqual(messages[0]);
  });

  test("is the same message after being taken up, at every byte", async () => {
    const [first, again] = await Promise.all([answered, resumed]);
    const whole = await lastState(await send(chatId, [message]));
    expect(first.length).toBeGreaterThan(1_000);
    let equal = 0;
    // The last bytes are "[DONE]", which tell a client nothing that it does not know.
    const end = first.length - "data: [DONE]\n\n".length;
    for (let count = 0; count < end; count++) {
      const cut = async () => new Response(brokenAfter(new Blob([first]).stream(), count));
      const chat = await cutAndComeBack(`cut after ${count}`, cut, async () => new Response(new Blob([again])));
      await chat.until(`the end, cut after ${count}`, ({ status }) => status === "ready");
      expect(chat.messages, `cut after ${count}`).toEqual([message, whole]);
      equal++;
    }
    expect(equal).toBe(end);
  }, 60_000);

  test("is the same for whoever comes at any moment, while it waits for a host, too", async () => {
    const first = hosted;
    const question = asked("once more");
    const sent = lastState(await send(chatId, [question]));
    const waiting = asked("and then this");
    const queued = lastState(await send(chatId, [waiting]));
    const run = await first.next();
    const late: Promise<UIMessage | undefined>[] = [];
    const come = async () => {
      const stream = await transport().reconnectToStream({ chatId });
      if (stream) late.push(lastState(stream));
    };
    await come();
    for (const events of PLAY) {
      await run.told(...events);
      await come();
    }
    await run.told(finished);
    const whole = await sent;
    expect(await Promise.all(late)).toEqual(Array.from({ length: PLAY.length + 1 }, () => whole));
    await (await first.next()).told(greeting, finished);
    expect((await queued)?.parts).toEqual([{ type: "text", text: "hello", state: "done" }]);
  });
});

describe("[P-33] a client that leaves", () => {
  test("leaves the run alone", async () => {
    const chat = new MemoryChat({ id: newId("cmd"), transport: transport() });
    const sent = chat.sendMessage({ text: "long" });
    const hosted = await HostedRun.first(host);
    await hosted.told(greeting);
    await chat.until("the greeting", ({ lastMessage }) => lastMessage?.role === "assistant");
    await chat.stop();
    await sent;
    const [run] = await runsOf(hosted.run.sessionId);
    expect(run?.state).toBe("running");
    const resumed = chat.resumeStream();
    await chat.until("the stream", ({ status }) => status !== "ready");
    await hosted.told(finished);
    await resumed;
    expect(chat.lastMessage).toMatchObject({ metadata: { outcome: "succeeded" } });
  });

  test("stops it when it said so", async () => {
    const chat = new MemoryChat({ id: newId("cmd"), transport: transport({ body: { onDisconnect: "cancel" } }) });
    const sent = chat.sendMessage({ text: "long" });
    const hosted = await HostedRun.first(host);
    await hosted.told(greeting);
    await chat.until("the greeting", ({ lastMessage }) => lastMessage?.role === "assistant");
    await chat.stop();
    await sent;
    expect(await hosted.data.message("run.stop")).toMatchObject({ runId: hosted.run.runId });
    await hosted.told({ type: "run.finished", data: { outcome: "cancelled" } });
  });
});

describe("[P-28] a chat that is not understood", () => {
  const id = "bad";
  const words = (parts: unknown, role = "user") => ({ id, messages: [{ id: "m", role, parts }] });
  const bodies: Record<string, [body: unknown, status: number, reason: string]> = {
    nothing: [{}, 400, "malformed"],
    "no messages": [{ id }, 400, "malformed"],
    "no message": [{ id, messages: [] }, 400, "malformed"],
    "no message of a user": [words([{ type: "text", text: "x" }], "assistant"), 400, "malformed"],
    "a role that is none": [words([{ type: "text", text: "x" }], "root"), 400, "malformed"],
    "no text": [words([]), 400, "malformed"],
    "blank text": [words([{ type: "text", text: " \n " }]), 400, "malformed"],
    "text that is none": [words([{ type: "text", text: { $ne: 1 } }]), 400, "malformed"],
    "parts that are none": [words("x"), 400, "malformed"],
    "a message without id": [
      { id, messages: [{ role: "user", parts: [{ type: "text", text: "x" }] }] },
      400,
      "malformed",
    ],
    "an empty id": [{ id: "", messages: [asked("x")] }, 400, "malformed"],
    "a long id": [{ id: "x".repeat(201), messages: [asked("x")] }, 400, "malformed"],
    "a trigger that is none": [{ id, messages: [asked("x")], trigger: "explode" }, 400, "malformed"],
    "a provider that is none": [{ id, messages: [asked("x")], provider: "gpt" }, 400, "malformed"],
    "a prompt that is too long": [{ id, messages: [asked("x".repeat(LIMITS.promptBytes + 1))] }, 400, "malformed"],
    "a file": [
      words([
        { type: "text", text: "x" },
        { type: "file", url: "data:,x", mediaType: "text/plain" },
      ]),
      422,
      "attachments_unsupported",
    ],
    "a session that is not there": [{ id: "ses_zzzzzzzzzzzzzzzzzzzz", messages: [asked("x")] }, 404, "not_found"],
    "a history beyond all measure": [
      { id, messages: [asked("x".repeat(LIMITS.chatBodyBytes))] },
      413,
      "body_too_large",
    ],
  };
  test.each(Object.entries(bodies))("%s", async (_what, [body, status, reason]) => {
    expect(await me.call("POST", "/api/chat", body)).toMatchObject({ status, body: { ok: false, reason } });
  });

  test("a foreign session is not there, and a deleted one is gone", async () => {
    const { body } = await me.call<{ session: { id: string } }>("POST", "/api/sessions", {});
    const { id: sessionId } = body.session;
    const stranger = await otherCaller(worker);
    const ask = { id: sessionId, messages: [asked("x")] };
    const stream = `/api/chat/${sessionId}/stream`;
    expect(await stranger.call("POST", "/api/chat", ask)).toMatchObject({ status: 404 });
    expect(await stranger.call("GET", stream)).toMatchObject({ status: 404 });
    expect(await me.call("GET", stream), "nothing runs").toMatchObject({ status: 204 });
    await me.call("DELETE", `/api/sessions/${sessionId}`);
    expect(await me.call("POST", "/api/chat", ask)).toMatchObject({ status: 410 });
    expect(await me.call("GET", stream)).toMatchObject({ status: 410 });
    expect(await me.call("GET", `/api/chat/${"x".repeat(201)}/stream`)).toMatchObject({ status: 404 });
  });

  test("a long history is no reason to refuse", async () => {
    const history = Array.from({ length: 20 }, () => asked("x".repeat(LIMITS.httpBodyBytes / 10)));
    const sent = chunksOf(await send(newId("cmd"), [...history, asked("short")]));
    const hosted = await HostedRun.first(host);
    expect(hosted.run.prompt).toBe("short");
    await hosted.told(greeting, finished);
    await sent;
  });
});
