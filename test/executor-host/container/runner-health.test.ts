import { mkdtemp, rm, symlink } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createRawServer, type Server as RawServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { askHealth, pauseAfter, waitForHealth } from "../../../executor-host/container/runner-health.ts";
import { socketPath } from "../../../executor-host/container/socket-path.ts";

const good = { ok: true, protocol: 1, pid: 1, providers: {}, runs: [] };
const never = new AbortController().signal;

describe("a runner's health", () => {
  let dir: string;
  let path: string;
  const servers: (Server | RawServer)[] = [];

  const listen = (server: Server | RawServer, at = path) =>
    new Promise<void>((resolve) => {
      servers.push(server.listen(at, resolve));
    });
  const serve = (listener: RequestListener, at?: string) => listen(createServer(listener), at);
  const json =
    (body: unknown): RequestListener =>
    (_request, response) =>
      response.end(JSON.stringify(body));

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "gantry-"));
    path = socketPath(dir, "runner.sock");
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) server.close();
    await rm(dir, { recursive: true, force: true });
  });

  test("waiting ends when a runner that was not there comes up", async () => {
    const waiting = waitForHealth(path, 20_000, never);
    await serve(json(good));
    expect(await waiting).toMatchObject({ pid: 1 });
  });

  test("a runner that comes up is found 5 ms later at most, or 2 % of its time, and one that does not is asked every 200 ms", () => {
    for (let waitedMs = 0, tries = 0; waitedMs < 30_000; tries++) {
      const pauseMs = pauseAfter(waitedMs);
      expect(pauseMs).toBeGreaterThanOrEqual(5);
      expect(pauseMs).toBeLessThan(Math.max(5.1, waitedMs * 0.021));
      expect(tries).toBeLessThan(500);
      waitedMs += pauseMs;
    }
    expect(pauseAfter(600_000)).toBe(200);
  });

  test("who takes the connection and never answers is given up", async () => {
    await listen(createRawServer((socket) => socket.resume()));
    await expect(askHealth(path, 50)).rejects.toThrow("gave no answer in 50 ms");
    await expect(waitForHealth(path, 50, never)).rejects.toThrow("no health from the runner in 50 ms");
  });

  test.each<[string, RequestListener, string]>([
    ["an error", (_request, response) => response.writeHead(500).end(), "answered 500"],
    ["no JSON", (_request, response) => response.end("hello"), "not valid JSON"],
    ["another shape", json({ ok: "yes" }), "expected"],
    ["no end", (_request, response) => response.end("x".repeat(300_000)), "too long"],
  ])("an answer with %s is no health", async (_name, listener, message) => {
    await serve(listener);
    await expect(askHealth(path)).rejects.toThrow(message);
  });

  test("another protocol ends the wait at once", async () => {
    await serve(json({ ...good, protocol: 3 }));
    await expect(waitForHealth(path, 600_000, never)).rejects.toThrow("install the toolkit again");
  });

  test("aborting ends the wait with the reason", async () => {
    const reason = new Error("the container ended");
    const abort = new AbortController();
    const waiting = waitForHealth(path, 600_000, abort.signal);
    abort.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });

  test("a link in the socket's place is not followed", async () => {
    const elsewhere = join(dir, "engine.sock");
    await serve(json(good), elsewhere);
    await symlink(elsewhere, path);
    await expect(askHealth(path)).rejects.toThrow("has not opened its socket");
  });

  test("the limit of a socket's path is counted in bytes", () => {
    expect(() => socketPath(`/${"ü".repeat(50)}`, "runner.sock")).toThrow("113 bytes");
    expect(socketPath(`/${"u".repeat(50)}`, "runner.sock")).toHaveLength(63);
  });
});
