import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import {
  Agent,
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { upstreamsFrom } from "../../../executor-host/egress/credentials.ts";
import type { EgressLine } from "../../../executor-host/egress/exits.ts";
import { type EgressProxy, type EgressProxyOptions, startEgressProxy } from "../../../executor-host/egress/proxy.ts";
import { ask, open, textOf } from "../../support/proxy-client.ts";

const key = "sk-canary-0123456789";
const messages = "/provider/claude-code/v1/messages";

describe("the egress proxy", () => {
  let dir: string;
  let provider: Server;
  let base: string;
  let answer: RequestListener;
  let lines: string[];
  const proxies: EgressProxy[] = [];

  const start = async (change: Partial<EgressProxyOptions> = {}) => {
    const proxy = await startEgressProxy({
      sessionId: "ses_1",
      egressDir: dir,
      policy: () => ({ mode: "providers" }),
      upstreams: () => upstreamsFrom({ ANTHROPIC_BASE_URL: base, ANTHROPIC_API_KEY: key }),
      log: pino({ base: null }, { write: (line: string) => lines.push(line) }),
      ...change,
    });
    proxies.push(proxy);
    return proxy;
  };
  const logged = (): EgressLine[] => lines.map((line) => JSON.parse(line));
  /** Serves the next request by hand: the test decides when what is said. */
  const next = () =>
    new Promise<{ request: IncomingMessage; response: ServerResponse }>((resolve) => {
      answer = (request, response) => resolve({ request, response });
    });
  /** The proxy has written its log line: the request is over for it, too. */
  const settled = async (proxy: EgressProxy) => {
    while (proxy.stats().active > 0) await new Promise(setImmediate);
  };

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "gantry-"));
    lines = [];
    answer = (_request, response) => response.end("{}");
    provider = createServer((request, response) => answer(request, response));
    await new Promise<void>((resolve) => provider.listen(0, "127.0.0.1", resolve));
    base = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/base`;
  });
  afterEach(async () => {
    for (const proxy of proxies.splice(0)) await proxy.close();
    provider.closeAllConnections();
    provider.close();
    await rm(dir, { recursive: true, force: true });
  });

  test("adds the key, and drops whatever the worker says about who it is or how it came here", async () => {
    const proxy = await start();
    const arrived = next();
    const asked = ask(proxy.socketPath, {
      path: `${messages}?beta=true`,
      body: '{"model":"m"}',
      headers: {
        "x-api-key": "sk-of-the-worker",
        authorization: "Bearer sk-of-the-worker",
        "api-key": "sk-of-the-worker",
        "proxy-authorization": "Basic sk-of-the-worker",
        cookie: "session=sk-of-the-worker",
        "x-forwarded-for": "1.2.3.4",
        connection: "x-hop, keep-alive",
        "x-hop": "1",
        "anthropic-version": "2023-06-01",
        "content-type": "application/json",
      },
    });
    const { request, response } = await arrived;
    expect(request).toMatchObject({ method: "POST", url: "/base/v1/messages?beta=true" });
    expect(request.headers).toMatchObject({
      "x-api-key": key,
      host: new URL(base).host,
      "anthropic-version": "2023-06-01",
      "content-type": "application/json",
    });
    expect(JSON.stringify(request.rawHeaders)).not.toMatch(/of-the-worker|x-hop|x-forwarded|cookie/i);
    expect(await textOf(request)).toBe('{"model":"m"}');
    response
      .writeHead(200, { "x-request-id": "r1", "set-cookie": "a=b", connection: "x-secret-hop", "x-secret-hop": "1" })
      .end("ok");
    const { status, headers, text } = await asked;
    expect([status, text, headers["x-request-id"]]).toEqual([200, "ok", "r1"]);
    expect(Object.keys(headers)).not.toEqual(expect.arrayContaining(["set-cookie", "x-secret-hop"]));
  });

  test("a provider's refusal goes through as it is", async () => {
    const proxy = await start();
    answer = (_request, response) => response.writeHead(529, { "retry-after": "7" }).end('{"type":"error"}');
    expect(await ask(proxy.socketPath, { path: messages })).toMatchObject({
      status: 529,
      text: '{"type":"error"}',
      headers: { "retry-after": "7" },
    });
  });

  test.each([
    ["/", "not_a_provider_path"],
    ["http://169.254.169.254/latest", "not_a_provider_path"],
    ["/provider/claude-code/v1/files", "provider_path"],
    ["/provider/nobody/v1/messages", "unknown_provider"],
  ])("%s is refused and never asked for", async (path, rule) => {
    const proxy = await start();
    answer = () => expect.unreachable("the provider was asked");
    const { status, text } = await ask(proxy.socketPath, { path });
    expect(status).toBe(403);
    expect(JSON.parse(text)).toEqual({
      ok: false,
      reason: "egress_denied",
      message: expect.any(String),
      details: { rule },
    });
    expect(logged()).toMatchObject([{ outcome: "denied", rule, status: 403 }]);
  });

  test.each([
    [
      "claude-code/v1/messages",
      {
        type: "error",
        error: { type: "authentication_error", message: expect.stringMatching(/auth_missing.*ANTHROPIC_API_KEY/) },
      },
    ],
    [
      "codex-app-server/responses",
      {
        error: {
          code: "auth_missing",
          type: "authentication_error",
          param: null,
          message: expect.stringContaining("OPENAI_API_KEY"),
        },
      },
    ],
  ])("without a key %s is answered 401 in the vendor's words, saying what to set", async (path, body) => {
    const proxy = await start({ upstreams: () => upstreamsFrom({}) });
    const { status, text } = await ask(proxy.socketPath, { path: `/provider/${path}` });
    expect(status).toBe(401);
    expect(JSON.parse(text)).toEqual(body);
  });

  test("what comes is passed on as it comes, in order, both ways", async () => {
    const proxy = await start();
    const arrived = next();
    const asking = open(proxy.socketPath, { path: messages });
    const { response } = await arrived;
    // Headers alone: a CLI starts its clock on them.
    response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
    const [received] = (await once(asking, "response")) as [IncomingMessage];
    for (const part of ["data: one\n\n", "data: two\n\n", "data: three\n\n"]) {
      response.write(part);
      // The provider says nothing more until this has arrived.
      const [chunk] = await once(received, "data");
      expect(String(chunk)).toBe(part);
    }
    response.end();
    await once(received, "end");
    await settled(proxy);
    expect(logged()).toMatchObject([{ outcome: "completed", status: 200, bytesDown: 35 }]);
  });

  test("an upload is passed on before it is complete", async () => {
    const proxy = await start();
    const arrived = next();
    const socket = connect(proxy.socketPath);
    socket.write(`POST ${messages} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nfirst`);
    const { request, response } = await arrived;
    expect(String((await once(request, "data"))[0])).toBe("first");
    socket.write("other");
    expect(String((await once(request, "data"))[0])).toBe("other");
    response.end("{}");
    await once(socket, "data");
    socket.destroy();
  });

  test("a worker that hangs up ends the provider's work, before the answer and in the middle of it", async () => {
    const proxy = await start();
    for (const begun of [false, true]) {
      const arrived = next();
      const asking = open(proxy.socketPath, { path: messages });
      const { request, response } = await arrived;
      const hungUp = once(response, "close");
      if (begun) {
        response.write("data: one\n\n");
        const [received] = (await once(asking, "response")) as [IncomingMessage];
        received.on("error", () => undefined);
      }
      asking.destroy();
      await hungUp;
      expect(request.destroyed || response.destroyed).toBe(true);
    }
    await settled(proxy);
    expect(logged().map(({ outcome }) => outcome)).toEqual(["client_gone", "client_gone"]);
  });

  test("a provider that answers without reading the question is heard, and the connection stays usable", async () => {
    const proxy = await start();
    answer = (_request, response) => response.writeHead(413).end("too much");
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const body = "x".repeat(8 * 1024 * 1024);
    for (let round = 0; round < 2; round++) {
      expect(await ask(proxy.socketPath, { path: messages, body, agent })).toMatchObject({
        status: 413,
        text: "too much",
      });
    }
    agent.destroy();
  });

  test("a provider that breaks off is seen as broken off, not as done", async () => {
    const proxy = await start();
    answer = (_request, response) => {
      response.write("data: half", () => response.socket?.destroy());
    };
    await expect(ask(proxy.socketPath, { path: messages })).rejects.toThrow("aborted");
    await settled(proxy);
    expect(logged()).toMatchObject([{ outcome: "upstream_failed", error: "ECONNRESET" }]);
  });

  test("a provider that cannot be reached is said in the vendor's words", async () => {
    provider.close();
    await once(provider, "close");
    const proxy = await start();
    const { status, text } = await ask(proxy.socketPath, { path: messages, body: "x".repeat(500_000) });
    expect(status).toBe(502);
    expect(JSON.parse(text)).toMatchObject({
      error: { type: "api_error", message: expect.stringContaining("ECONNREFUSED") },
    });
    expect(proxy.stats()).toMatchObject({ requests: 1, failed: 1, active: 0 });
  });

  test("settings that change reach a live session", async () => {
    let current = "k1";
    const proxy = await start({
      upstreams: () => upstreamsFrom({ ANTHROPIC_BASE_URL: base, ANTHROPIC_API_KEY: current }),
    });
    answer = (request, response) => response.end(request.headers["x-api-key"]);
    expect((await ask(proxy.socketPath, { path: messages })).text).toBe("k1");
    current = "k2";
    expect((await ask(proxy.socketPath, { path: messages })).text).toBe("k2");
  });

  test("one line for each request, without key, query or body", async () => {
    const proxy = await start();
    await ask(proxy.socketPath, {
      path: `${messages}?token=s3cret`,
      body: "s3cret",
      headers: { "x-api-key": "s3cret" },
    });
    await ask(proxy.socketPath, { path: "/provider/claude-code/v1/files?x=s3cret" });
    expect(logged()).toMatchObject([
      {
        component: "egress",
        sessionId: "ses_1",
        method: "POST",
        target: messages,
        status: 200,
        bytesUp: 6,
        bytesDown: 2,
      },
      { outcome: "denied", target: "/provider/claude-code/v1/files" },
    ]);
    expect(lines.join()).not.toMatch(/s3cret|canary/);
    expect(proxy.stats()).toEqual({ requests: 2, refused: 1, failed: 0, active: 0, bytesUp: 6, bytesDown: 2 });
  });

  test("more than its share at once is refused, and the share comes back", async () => {
    const proxy = await start({ maxConcurrent: 1 });
    const arrived = next();
    const first = ask(proxy.socketPath, { path: messages });
    const { response } = await arrived;
    expect(await ask(proxy.socketPath, { path: messages })).toMatchObject({
      status: 503,
      text: expect.stringContaining("egress_busy"),
    });
    response.end("{}");
    expect((await first).status).toBe(200);
    answer = (_request, late) => late.end("{}");
    expect((await ask(proxy.socketPath, { path: messages })).status).toBe(200);
  });

  test("headers beyond the bound are refused", async () => {
    const proxy = await start();
    expect((await ask(proxy.socketPath, { path: messages, headers: { "x-long": "x".repeat(40_000) } })).status).toBe(
      431,
    );
  });

  test("a defect costs the one request and is logged without its message", async () => {
    const proxy = await start({
      upstreams: () => {
        throw new Error(`could not parse ${key}`);
      },
    });
    await expect(once(open(proxy.socketPath, { path: messages }), "response")).rejects.toThrow("socket hang up");
    await settled(proxy);
    expect(logged()).toMatchObject([
      { level: 50, error: expect.stringContaining("proxy.test.ts") },
      { outcome: "defect" },
    ]);
    expect(lines.join()).not.toContain("canary");
  });

  test("the socket is its owner's alone; a daemon that starts again takes the place of the one before", async () => {
    const proxy = await start();
    expect((await stat(proxy.socketPath)).mode & 0o777).toBe(0o600);
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    await start();
    expect((await ask(proxy.socketPath, { path: messages })).status).toBe(200);
  });

  test("closing ends what is under way", async () => {
    const proxy = await start();
    const arrived = next();
    const asking = open(proxy.socketPath, { path: messages });
    const { response } = await arrived;
    const ended = once(response, "close");
    const hungUp = new Promise((resolve) => asking.once("close", resolve));
    await proxy.close();
    await Promise.all([ended, hungUp]);
  });
});
