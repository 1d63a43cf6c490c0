/** What is not what it should be: refused with a reason that helps, never a 500, and nothing of ours told. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LIMITS } from "#protocol/limits.ts";
import { type Caller, firstCaller } from "../support/accounts.ts";
import { type OwnWorker, startWorker } from "../support/worker-under-test.ts";

let worker: OwnWorker;
let me: Caller;
beforeAll(async () => {
  worker = await startWorker();
  me = await firstCaller(worker);
});
afterAll(() => worker.close());

async function send(path: string, body: BodyInit | undefined, headers: Record<string, string> = {}, method = "POST") {
  const response = await worker.fetch(path, {
    method,
    headers: { authorization: `Bearer ${me.token}`, "content-type": "application/json", ...headers },
    body,
    ...(body instanceof ReadableStream ? { duplex: "half" } : {}),
  } as RequestInit);
  const text = await response.text();
  return {
    status: response.status,
    ...(JSON.parse(text || "{}") as { reason?: string; message?: string; details?: unknown }),
  };
}

describe("a body", () => {
  const bodies: Record<string, BodyInit> = {
    "cut off": '{"prompt": "x"',
    "a text": "prompt=x",
    "two values": "{} {}",
    "not UTF-8": new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]),
    "a null byte": "\u0000",
    "an array": "[]",
    "a number": "7",
    null: "null",
    "too deep": `${"[".repeat(1_000)}${"]".repeat(1_000)}`,
    "without a prompt": "{}",
    "an empty prompt": '{"prompt":"  "}',
    "a prompt that is no text": '{"prompt":{"$ne":1}}',
    "an unknown provider": '{"prompt":"x","provider":"gpt"}',
    "a foreign session id": '{"prompt":"x","sessionId":"../../etc"}',
    "a time-out of nothing": '{"prompt":"x","runTimeoutMs":0}',
    "a time-out of less": '{"prompt":"x","runTimeoutMs":-5}',
    "options that are none": '{"prompt":"x","providerOptions":"y"}',
    "an unknown wish": '{"prompt":"x","onDisconnect":"explode"}',
    "a retry for everything": '{"prompt":"x","retryOn":["everything"]}',
  };
  test.each(Object.entries(bodies))("%s is malformed", async (_what, body) => {
    const answer = await send("/api/runs/start", body);
    expect(answer).toMatchObject({ status: 400, ok: false, reason: "malformed" });
    expect(answer.message).toBeTruthy();
  });

  test("the refusal says where", async () => {
    const answer = await send("/api/human-loop/reply", '{"requestId":"req_1","decision":"maybe"}');
    expect(answer.details).toEqual([
      expect.objectContaining({ path: "requestId" }),
      expect.objectContaining({ path: "decision" }),
    ]);
  });

  test("that brings a prototype changes nothing", async () => {
    const body = '{"prompt":"x","__proto__":{"provider":"native"},"constructor":{"prototype":{"polluted":1}}}';
    expect((await send("/api/runs/queue/enqueue", body)).status).toBe(202);
    expect((await send("/api/me", undefined, {}, "GET")) as object).not.toHaveProperty("polluted");
  });

  test.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "",
  ])("as %j is not taken", async (type) => {
    const answer = await send("/api/runs/start", new Blob(['{"prompt":"x"}']), { "content-type": type });
    expect(answer).toMatchObject({ status: 415, reason: "unsupported_media_type" });
  });

  test("of another JSON type is", async () => {
    expect(
      (await send("/api/runs/queue/enqueue", '{"prompt":"x"}', { "content-type": "application/json; charset=utf-8" }))
        .status,
    ).toBe(202);
    expect(
      (await send("/api/runs/queue/enqueue", '{"prompt":"x"}', { "content-type": "application/merge-patch+json" }))
        .status,
    ).toBe(202);
  });

  test("that is too large is refused, with and without an announced length", async () => {
    const large = JSON.stringify({ prompt: "x".repeat(LIMITS.httpBodyBytes) });
    expect(await send("/api/runs/start", large)).toMatchObject({ status: 413, reason: "body_too_large" });
    const chunks = new Blob([large]).stream();
    expect(await send("/api/runs/start", chunks)).toMatchObject({ status: 413, reason: "body_too_large" });
  });

  test("a prompt may be long, but not longer than that", async () => {
    expect(
      (await send("/api/runs/queue/enqueue", JSON.stringify({ prompt: "x".repeat(LIMITS.promptBytes) }))).status,
    ).toBe(202);
    expect(
      (await send("/api/runs/queue/enqueue", JSON.stringify({ prompt: "x".repeat(LIMITS.promptBytes + 1) }))).status,
    ).toBe(400);
  });
});

describe("the rest of a request", () => {
  test.each(["/api/nothing", "/api/", "/api/runs", "/api/sessions//stream"])("%s is not there", async (path) => {
    const answer = await worker.fetch(`${worker.origin}${path}`, { headers: { authorization: `Bearer ${me.token}` } });
    expect(answer.status).toBe(404);
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    await answer.text();
  });

  test("[P-21] a cursor that is no number of digits is malformed, wherever a reader gives one", async () => {
    const { body } = await me.call<{ session: { id: string } }>("POST", "/api/sessions", {});
    const run = await send("/api/runs/queue/enqueue", JSON.stringify({ prompt: "x", sessionId: body.session.id }));
    const { runId } = run as unknown as { runId: string };
    const wrong = [
      "-1",
      "1.5",
      "x",
      "",
      " 1",
      "+1",
      "0x10",
      "1e3",
      "1e9999",
      "Infinity",
      "NaN",
      "null",
      "1\u0000",
      "１",
    ];
    const most = ["9".repeat(16), "9".repeat(10_000), "[1]", "{}", "1,2", "../1", "1;drop table"];
    for (const path of [`/api/sessions/${body.session.id}/stream`, `/api/runs/${runId}/stream`])
      for (const cursor of [...wrong, ...most]) {
        const answer = await me.call<{ reason: string }>("GET", `${path}?cursor=${encodeURIComponent(cursor)}`);
        expect([answer.status, answer.body.reason], cursor.slice(0, 20)).toEqual([400, "malformed"]);
      }
  });

  test("[P-21] a Last-Event-ID that is none is as good as not there; bytes that are no UTF-8 in the address are no cursor", async () => {
    const { body } = await me.call<{ session: { id: string } }>("POST", "/api/sessions", {});
    const stream = `${worker.origin}/api/sessions/${body.session.id}/stream`;
    const authorization = `Bearer ${me.token}`;
    for (const id of ["-1", "x", "1e3", "9".repeat(16), "[1]"]) {
      const answer = await fetch(stream, { headers: { authorization, "last-event-id": id } });
      expect([id, answer.status]).toEqual([id, 200]);
      let text = "";
      for await (const bytes of answer.body ?? []) {
        text += new TextDecoder().decode(bytes);
        if (text.includes("\n\n") && text.includes("id: ")) break;
      }
      expect(text).toMatch(/^id: 1$/m);
    }
    expect((await fetch(`${stream}?cursor=%ff%fe`, { headers: { authorization } })).status).toBe(400);
  });

  test("a defect tells its trace id and nothing else", async () => {
    await worker.sql("alter table audit rename to audit_gone");
    const answer = await send("/api/hosts/join-tokens", "{}", {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    });
    await worker.sql("alter table audit_gone rename to audit");
    expect(answer).toMatchObject({
      status: 500,
      reason: "internal",
      details: { traceId: "0af7651916cd43dd8448eb211c80319c" },
    });
    expect(JSON.stringify(answer)).not.toMatch(/audit|sql|at |\.ts/i);
  });

  test("the caller's trace is kept, a wrong one is replaced", async () => {
    const trace = async (traceparent: string) =>
      (await worker.fetch("/healthz", { headers: { traceparent } })).headers.get("x-trace-id");
    expect(await trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")).toBe(
      "0af7651916cd43dd8448eb211c80319c",
    );
    for (const wrong of ["", "x", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-'; drop-1-01"]) {
      expect(await trace(wrong)).toMatch(/^[0-9a-f]{32}$/);
    }
  });

  test("nothing that was sent shows up in the logs as a secret", async () => {
    const secrets = [me.token, `gjt_${"b".repeat(43)}`];
    await send(
      "/api/hosts/join",
      JSON.stringify({
        joinToken: secrets[1],
        publicKey: { kty: "OKP", crv: "Ed25519", x: "a".repeat(43) },
        name: "x",
      }),
    );
    await worker.fetch(`/api/hosts?token=${secrets[1]}`);
    // Of the later one: what came before it is there, too.
    await expect.poll(() => worker.logs.join("\n")).toContain('"path":"/api/hosts"');
    expect(worker.logs.join("\n")).toContain('"path":"/api/hosts/join"');
    for (const secret of secrets) expect(worker.logs.join("\n")).not.toContain(secret);
  });
});
