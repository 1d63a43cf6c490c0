import http from "node:http";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { startForwarder } from "../../../executor-host/runner/forwarder.ts";
import { startModelServer } from "../../support/model-server/server.ts";
import { temporaryFolder } from "./support/temporary.ts";

async function forwarder(socketPath: string) {
  const started = await startForwarder(socketPath);
  onTestFinished(() => started.close());
  return started;
}

const ask = (prompt: string) =>
  JSON.stringify({ stream: true, tools: [{ name: "Write" }], messages: [{ role: "user", content: prompt }] });

test("requests and streamed answers pass, in both directions, on 127.0.0.1 only", async () => {
  const socketPath = path.join(await temporaryFolder(), "p.sock");
  const model = await startModelServer({ socketPath });
  onTestFinished(() => model.close());
  const { port } = await forwarder(socketPath);
  const url = `http://127.0.0.1:${port}/provider/claude-code/v1/messages`;
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => fetch(url, { method: "POST", body: ask("SCN:text:500") }).then((r) => r.text())),
  );
  for (const answer of answers) expect(answer).toContain('"text":"word500 "');
  expect(model.requests).toHaveLength(20);
});

test("a client that leaves ends its request at the other end, too", async () => {
  const socketPath = path.join(await temporaryFolder(), "p.sock");
  let closed: () => void = () => {};
  const seen = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const server = http.createServer((_request, response) => {
    response.write("begun");
    response.on("close", closed);
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  onTestFinished(() => {
    server.close();
  });
  const { port } = await forwarder(socketPath);
  const leave = new AbortController();
  const response = await fetch(`http://127.0.0.1:${port}/`, { signal: leave.signal });
  expect(response.status).toBe(200);
  leave.abort();
  await seen;
});

test("without a proxy behind it a request fails at once; a proxy that comes later is found", async () => {
  const socketPath = path.join(await temporaryFolder(), "p.sock");
  const { port } = await forwarder(socketPath);
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
  const server = http.createServer((_request, response) => response.end("here"));
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  onTestFinished(() => {
    server.close();
  });
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("here");
});
