/** The whole control plane over an S3 store: hosts speak with the store, the edge commits and reads (FACTS C2 rows 12, 13). */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SyncInput } from "../../../executor-host/workspace/port.ts";
import { restoreWorkspace } from "../../../executor-host/workspace/restore.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import { describeTree, type Fixture, fakeTools, fixture, noise } from "../../executor-host/workspace/fixture.ts";
import { startTestControlPlane, type TestControlPlane } from "../../support/control-plane.ts";
import { newSession, Page } from "../../support/live-session.ts";
import { error, type S3Fault, S3Peer } from "../../support/s3-peer.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";

let s3: S3Peer;
let plane: TestControlPlane;
let at: Fixture;
let input: SyncInput;
let sessionId: string;
/** Requests of the host alone: to the edge as path, to the store as method and key. */
let hostCalls: string[] = [];
let snapshotId: string;

beforeAll(async () => {
  s3 = await S3Peer.start();
  plane = await startTestControlPlane({ vars: s3.variables });
  const host = await ScriptedHost.online(plane.url, (await plane.bootstrap("joinToken")).joinToken ?? "");
  sessionId = await newSession(plane);
  const page = await Page.open(plane, sessionId);
  await page.ask({ type: "prompt", prompt: { text: "work" } });
  const { assignment } = await host.takeAssignment();
  at = fixture();
  const counted: typeof fetch = (request, init) => {
    const url = new URL(String(request));
    const where = url.origin === plane.url ? "edge" : "store";
    hostCalls.push(`${where} ${init?.method} ${url.pathname.split("/").at(-2)}`);
    if (where === "store") expect(new Headers(init?.headers).has("authorization")).toBe(false);
    return fetch(request, init);
  };
  const store = {
    url: new URL(assignment.storeUrl, plane.url).href,
    token: () => host.token,
    epoch: assignment.epoch,
    fetch: counted,
  };
  input = { ...at.input, sessionId, store };
  at.write("a.txt", "some text ".repeat(200));
  at.write("b.bin", noise(3_000, 5));
  at.write("dir/c.txt", "more text");
  ({ snapshotId } = await syncWorkspace(input, fakeTools()));
  // The first file of a run builds the bundle.
}, 180_000);
afterAll(async () => {
  at?.dispose();
  await plane?.dispose();
  await s3?.close();
});

const elsewhere = () => ({ ...at.elsewhere(snapshotId), sessionId, store: input.store });
const reasonOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "it went through",
    (error) => error.reason ?? String(error),
  );
const download = (path: string) => plane.call(`/api/files/download?sessionId=${sessionId}&path=${path}`);

test("a sync sends packs straight to the store, and the manifest through the edge", async () => {
  expect(hostCalls).toEqual([
    expect.stringMatching(/^edge POST packs/),
    expect.stringMatching(/^edge POST /),
    "store PUT packs",
    expect.stringMatching(/^edge POST /),
  ]);
  expect([...s3.objects.keys()].filter((key) => key.startsWith(`orgs/${plane.organizationId}/`))).toHaveLength(2);
});

test("a restore reads packs from the store itself", async () => {
  hostCalls = [];
  const there = elsewhere();
  await restoreWorkspace(there, fakeTools());
  expect(describeTree(there.root)).toEqual(describeTree(at.root));
  expect(hostCalls).toContain("store GET packs");
});

test("people read through the edge", async () => {
  expect(await (await download("a.txt")).text()).toBe("some text ".repeat(200));
  expect((await download("dir")).headers.get("content-type")).toBe("application/zip");
});

test("a host under an old epoch gets no presigned request", async () => {
  const { url, token, epoch } = input.store;
  const hash = [...s3.objects.keys()]
    .find((key) => key.includes("/packs/"))!
    .split("/")
    .at(-1)!;
  const headers = { authorization: `Bearer ${token()}`, "content-type": "application/json" };
  const ask = async (of: string, epoch: number) =>
    (await fetch(`${of}/packs/${hash}/upload?epoch=${epoch}`, { method: "POST", headers, body: '{"length":7}' }))
      .status;
  expect(await ask(url, epoch)).toBe(200);
  expect(await ask(url, epoch + 1)).toBe(409);
  expect(await ask(url.replace(sessionId, await newSession(plane)), epoch)).toBe(409);
  const people = await plane.call(`${new URL(url).pathname}/packs/${hash}/upload`, {
    method: "POST",
    body: { length: 7 },
  });
  expect(people.status).toBe(403);
});

/** What people get of each file: its text, or why not. */
const readAtEdge = () =>
  Promise.all(
    ["a.txt", "b.bin", "dir/c.txt"].map(async (path) => {
      const response = await download(path);
      return response.ok ? "whole" : ((await response.json()) as { reason: string }).reason;
    }),
  );

test("one flipped bit in any object is noticed by hosts and by the edge", async () => {
  let noticed = 0;
  for (const [key, kept] of s3.objects) {
    for (const position of [0, Math.floor(kept.bytes.length / 2), kept.bytes.length - 1]) {
      const bytes = Buffer.from(kept.bytes);
      bytes[position]! ^= 1 << (position % 8);
      s3.objects.set(key, { ...kept, bytes });
      const there = elsewhere();
      expect(await reasonOf(restoreWorkspace(there, fakeTools())), `${key} at ${position}`).toBe("store_corrupt");
      expect(existsSync(there.root)).toBe(false);
      // The edge keeps manifests that it has checked; packs it reads each time.
      if (key.includes("/packs/")) expect((await readAtEdge()).join(), `${key} at ${position}`).toContain("damaged");
      noticed++;
    }
    s3.objects.set(key, kept);
  }
  expect(noticed).toBe(6);
});

test("a pack that lies in the store with other bytes is not committed, but replaced", async () => {
  at.write("new.txt", "new");
  s3.fault = ({ method, key, headers }) => {
    if (method !== "PUT" || !key.includes("/packs/")) return undefined;
    // A store that took something else and says that all is well.
    const bytes = Buffer.alloc(Number(headers["content-length"]), 7);
    const sha256 = "x".repeat(43).concat("=");
    s3.objects.set(key, { bytes, sha256, at: Date.now() });
    s3.fault = () => undefined;
    return { status: 200 };
  };
  expect(await reasonOf(syncWorkspace(input, fakeTools()))).toBe("packs_missing");
  ({ snapshotId } = await syncWorkspace(input, fakeTools()));
  await restoreWorkspace(elsewhere(), fakeTools());
});

test("a store that keeps no checksums is read before the commit", async () => {
  s3.keepsChecksums = false;
  at.write("new.txt", "newer");
  ({ snapshotId } = await syncWorkspace(input, fakeTools()));
  await restoreWorkspace(elsewhere(), fakeTools());
  s3.keepsChecksums = true;
});

describe("a store with bad days", () => {
  const faults: Record<string, S3Fault> = {
    "answers 500": () => error(500, "InternalError"),
    "answers 503": () => error(503, "SlowDown"),
    "hangs up": () => "cut",
    "does the work and loses the answer": (_, proceed) => ({ lost: proceed() }),
    "cuts the answer short": (_, proceed) => ({ short: proceed() }),
    "has another clock": () => error(403, "AccessDenied"),
  };
  let edits = 0;
  test.each(Object.entries(faults))("one that %s twice is asked again", async (_, fault) => {
    const seen = new Map<string, number>();
    s3.fault = (call, proceed) => {
      if (!call.key.includes("/packs/") || !["PUT", "GET"].includes(call.method)) return undefined;
      const count = (seen.get(call.method) ?? 0) + 1;
      seen.set(call.method, count);
      return count <= 2 ? fault(call, proceed) : undefined;
    };
    at.write("edit.txt", `edit ${++edits}`);
    ({ snapshotId } = await syncWorkspace(input, fakeTools()));
    const there = elsewhere();
    await restoreWorkspace(there, fakeTools());
    expect(describeTree(there.root)).toEqual(describeTree(at.root));
    s3.fault = () => undefined;
  });

  test("for good ends in an error after bounded tries, and nothing dangles", async () => {
    const manifests = () => [...s3.objects.keys()].filter((key) => key.includes("/snapshots/")).length;
    const before = manifests();
    at.write("edit.txt", "never saved");
    let puts = 0;
    s3.fault = ({ method, key }) =>
      method === "PUT" && key.includes("/packs/") && ++puts ? error(503, "SlowDown") : undefined;
    expect(await reasonOf(syncWorkspace(input, fakeTools()))).toMatch(/store_un/);
    expect(puts).toBe(5);
    expect(manifests()).toBe(before);
    s3.fault = () => undefined;
    ({ snapshotId } = await syncWorkspace(input, fakeTools()));
    await restoreWorkspace(elsewhere(), fakeTools());
  });
});

test("a session over its quota is told so before anything is sent, and its host gives up at once", async () => {
  await plane.call("/api/organization", { method: "PATCH", body: { sessionStoreBytes: 10_000 } });
  at.write("large.bin", noise(20_000, 9));
  const before = s3.objects.size;
  const refused = await syncWorkspace(input, fakeTools()).catch((failure) => failure);
  expect(refused).toMatchObject({ reason: "quota_exceeded", retry: false });
  expect(refused.message).toMatch(
    /^The session has .* of its 9\.8 KiB in the store, and 20 KiB more do not fit\. Remove/,
  );
  expect(s3.objects.size).toBe(before);
  await plane.call("/api/organization", { method: "PATCH", body: { sessionStoreBytes: null } });
  ({ snapshotId } = await syncWorkspace(input, fakeTools()));
  await restoreWorkspace(elsewhere(), fakeTools());
});
