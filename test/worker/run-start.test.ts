import { describe, expect, test } from "vitest";
import { startRunBody } from "#protocol/http.ts";
import type { SessionStub } from "../../worker/objects.ts";
import { awaitRun, promptOf, titleFrom } from "../../worker/routes/run-start.ts";
import { readSse } from "../../worker/sse.ts";

const SESSION = "ses_0123456789abcdefghij";
const RUN = "run_0123456789abcdefghij-0123456789";
const bytes = (text: string) => new TextEncoder().encode(text);

function streamOf(chunks: Uint8Array[], end: "close" | "open" = "close"): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      if (end === "close") controller.close();
    },
  });
}

const sse = (seq: number, type: string, data: object) =>
  `id: ${seq}\nevent: ${type}\ndata: ${JSON.stringify({ v: 1, seq, at: seq, sessionId: SESSION, runId: RUN, type, data, traceId: "t" })}\n\n`;

/** A session whose streams are given one after the other; notes the cursors it was asked for. */
function session(answers: (string | Response)[]): { stub: SessionStub; asked: (string | null)[] } {
  const asked: (string | null)[] = [];
  const fetch = async (request: Request) => {
    asked.push(new URL(request.url).searchParams.get("cursor"));
    const next = answers.shift();
    if (next === undefined) throw new Error("the session was asked once more than the test expects");
    return typeof next === "string" ? new Response(streamOf([bytes(next)])) : next;
  };
  return { stub: { fetch } as unknown as SessionStub, asked };
}

describe("reading a run to its end", () => {
  const finish = sse(9, "run.finished", { outcome: "succeeded", usage: { inputTokens: 3 } });

  test("the text is what the messages said, in order", async () => {
    const { stub } = session([
      `retry: 1000\n\n${sse(4, "message.stop", { messageId: "a", text: "one" })}${sse(5, "message.stop", { messageId: "b", text: "two" })}${finish}`,
    ]);
    expect(await awaitRun({ session: stub, sessionId: SESSION, runId: RUN, cursor: 3 })).toMatchObject({
      ok: true,
      outcome: "succeeded",
      text: "one\n\ntwo",
      usage: { inputTokens: 3 },
    });
  });

  test("a stream that breaks off is taken up where it ended", async () => {
    const { stub, asked } = session([sse(4, "message.stop", { messageId: "a", text: "one" }), "", finish]);
    const result = await awaitRun({ session: stub, sessionId: SESSION, runId: RUN, cursor: 3 });
    expect(result).toMatchObject({ ok: true, text: "one" });
    expect(asked).toEqual(["3", "4", "4"]);
  });

  test("a stream that never says anything new ends in a refusal, not in a loop", async () => {
    const { stub, asked } = session(["", "", "", "", ""]);
    await expect(awaitRun({ session: stub, sessionId: SESSION, runId: RUN, cursor: 0 })).rejects.toMatchObject({
      rejection: { reason: "unavailable", details: { runId: RUN } },
    });
    expect(asked).toHaveLength(5);
  });

  test("what the object refuses instead of a stream is refused with its reason", async () => {
    const { stub } = session([Response.json({ ok: false, reason: "gone", message: "deleted" }, { status: 404 })]);
    await expect(awaitRun({ session: stub, sessionId: SESSION, runId: RUN, cursor: 0 })).rejects.toMatchObject({
      rejection: { reason: "gone" },
    });
  });

  test("a failed run is an answer with its reason", async () => {
    const { stub } = session([
      sse(2, "run.finished", { outcome: "failed", reason: "host_lost", evidence: "gone for 20 s" }),
    ]);
    expect(await awaitRun({ session: stub, sessionId: SESSION, runId: RUN, cursor: 0 })).toMatchObject({
      ok: false,
      outcome: "failed",
      reason: "host_lost",
      evidence: "gone for 20 s",
      text: "",
    });
  });
});

describe("the prompt", () => {
  const prompt = (extra: object) => promptOf(startRunBody.parse({ prompt: "go", ...extra }));

  test("has no fields that were not given", () => expect(prompt({})).toEqual({ text: "go" }));
  test("an alias is its provider", () =>
    expect(prompt({ provider: "codex-cli" })).toMatchObject({ provider: "codex-app-server" }));
  test("runTimeoutMs counts before the provider's own [R-5.8]", () => {
    expect(prompt({ runTimeoutMs: 5, providerOptions: { timeoutMs: 7 } })).toMatchObject({ timeoutMs: 5 });
    expect(prompt({ providerOptions: { timeoutMs: 7 } })).toMatchObject({ timeoutMs: 7 });
    expect(prompt({ providerOptions: { timeoutMs: "7" } })).not.toHaveProperty("timeoutMs");
  });
  test("a title is its first line, cut", () => {
    expect(titleFrom("  fix  the\ttests \nand more")).toBe("fix the tests");
    expect(titleFrom("x".repeat(500))).toHaveLength(80);
  });
});

test("SSE is read the same wherever it is cut", async () => {
  const whole = bytes(
    `: hello\nretry: 1000\n\n${sse(1, "message.stop", { text: "ä\n😀" })}${sse(2, "run.finished", {})}`,
  );
  for (let at = 0; at <= whole.length; at++) {
    const messages = [];
    for await (const message of readSse(streamOf([whole.slice(0, at), whole.slice(at)]))) messages.push(message);
    expect(messages.map(({ id, event }) => [id, event])).toEqual([
      ["1", "message.stop"],
      ["2", "run.finished"],
    ]);
    expect(JSON.parse(messages[0]?.data ?? "").data.text).toBe("ä\n😀");
  }
});
