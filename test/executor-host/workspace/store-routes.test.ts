/** The store's routes on the whole control plane: a host with a lease syncs, people read, everybody else is refused. */
import { rmSync } from "node:fs";
import { unzipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newId } from "#protocol/ids.ts";
import type { SyncInput } from "../../../executor-host/workspace/port.ts";
import { restoreWorkspace } from "../../../executor-host/workspace/restore.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import type { TestControlPlane } from "../../support/control-plane.ts";
import { newSession, Page } from "../../support/live-session.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";
import { sharedControlPlane } from "../../support/shared-control-plane.ts";
import { describeTree, type Fixture, fakeTools, fixture, noise } from "./fixture.ts";

let plane: TestControlPlane;
let at: Fixture;
let input: SyncInput;
let host: ScriptedHost;
let page: Page;
let sessionId: string;
const big = noise(2_500_000, 3);

beforeAll(async () => {
  plane = await sharedControlPlane();
  host = await ScriptedHost.online(plane.url, (await plane.bootstrap("joinToken")).joinToken ?? "");
  sessionId = await newSession(plane);
  page = await Page.open(plane, sessionId);
  await page.ask({ type: "prompt", prompt: { text: "work" } });
  const { assignment } = await host.takeAssignment();
  at = fixture();
  const store = { url: new URL(assignment.storeUrl, plane.url).href, token: () => host.token, epoch: assignment.epoch };
  input = { ...at.input, sessionId, store };
  at.write("src/main.ts", "export {};\n");
  at.write("src/page.html", "<script>alert(1)</script>");
  at.write("big.bin", big);
  at.write(".gantry/claude/history.jsonl", "{}");
});
afterAll(async () => {
  at.dispose();
  await plane.dispose();
});

const files = (route: "tree" | "download", params: Record<string, string>, headers: Record<string, string> = {}) =>
  plane.call(`/api/files/${route}?${new URLSearchParams({ sessionId, ...params })}`, { headers });
const reasonOf = async (response: Response) => [
  response.status,
  ((await response.json()) as { reason: string }).reason,
];

test("nothing is there before the first sync", async () => {
  expect(await reasonOf(await files("tree", {}))).toEqual([404, "snapshot_not_found"]);
});

test("[R-3.3] [R-4.5] a sync is committed in the session, and an edit travels as a delta", async () => {
  const first = await syncWorkspace(input, fakeTools());
  await page.until("the first snapshot", (view) => view.workspace.snapshotId === first.snapshotId);
  at.write("src/main.ts", "export const a = 1;\n");
  const second = await syncWorkspace(input, fakeTools());
  expect(second.bytesSent).toBeLessThan(2_000);
  await page.until("the second snapshot", (view) => view.workspace.snapshotId === second.snapshotId);
  expect(await syncWorkspace(input, fakeTools())).toMatchObject({ changed: false, snapshotId: second.snapshotId });
  for (const { snapshotId } of [second, first]) {
    const there = { ...at.elsewhere(snapshotId), sessionId, store: input.store };
    await restoreWorkspace(there, fakeTools());
    if (snapshotId === second.snapshotId) expect(describeTree(there.root)).toEqual(describeTree(at.root));
  }
});

describe("[R-4.6] people read", () => {
  test("the tree", async () => {
    const tree = (await (await files("tree", {})).json()) as { snapshotId: string; entries: { name: string }[] };
    expect(tree.entries.map(({ name }) => name)).toEqual(["big.bin", "src"]);
    const src = (await (await files("tree", { path: "src/", snapshotId: tree.snapshotId })).json()) as typeof tree;
    expect(src.entries).toMatchObject([
      { name: "main.ts", path: "src/main.ts", kind: "file", size: 20, mode: 0o644 },
      { name: "page.html", kind: "file" },
    ]);
    const hidden = (await (await files("tree", { hidden: "1" })).json()) as typeof tree;
    expect(hidden.entries.map(({ name }) => name)).toContain(".gantry");
  });

  test("files, whole, in ranges, and not again when they have them", async () => {
    const whole = await files("download", { path: "big.bin" });
    expect(whole.headers.get("content-length")).toBe(String(big.length));
    expect(new Uint8Array(await whole.arrayBuffer())).toEqual(big);
    const etag = whole.headers.get("etag")!;
    expect((await files("download", { path: "big.bin" }, { "if-none-match": etag })).status).toBe(304);
    const part = await files("download", { path: "big.bin" }, { range: "bytes=1000000-1999999" });
    expect([part.status, part.headers.get("content-range")]).toEqual([206, `bytes 1000000-1999999/${big.length}`]);
    expect(new Uint8Array(await part.arrayBuffer())).toEqual(big.slice(1_000_000, 2_000_000));
    const beyond = await files("download", { path: "big.bin" }, { range: "bytes=9999999-" });
    expect(await reasonOf(beyond)).toEqual([416, "range_not_satisfiable"]);
  });

  test("an agent's page as text, that no browser runs", async () => {
    const response = await files("download", { path: "src/page.html", inline: "1" });
    expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(await response.text()).toBe("<script>alert(1)</script>");
  });

  test("a folder as zip", async () => {
    const response = await files("download", { path: "src" });
    expect(response.headers.get("content-disposition")).toContain('attachment; filename="src.zip"');
    expect(Object.keys(unzipSync(new Uint8Array(await response.arrayBuffer())))).toEqual(["main.ts", "page.html"]);
  });

  test("and each look is on record", async () => {
    const rows = (await (await plane.call("/api/audit?limit=50")).json()) as { entries?: { target: string }[] };
    expect(JSON.stringify(rows)).toContain(`${sessionId}:/src/page.html`);
  });

  test("[R-8.3] and so is a look at what is not there, with the reason", async () => {
    for (const [route, path, reason] of [
      ["tree", "nowhere", "not_found"],
      ["download", "nowhere", "not_found"],
      ["tree", "big.bin", "not_a_folder"],
    ] as const) {
      await files(route, { path });
      const [row] = await plane.query(
        "select target, allowed, reason from audit where organization_id = ? order by id desc limit 1",
        plane.organizationId,
      );
      expect(row).toEqual({ target: `${sessionId}:/${path}`, allowed: 0, reason });
    }
  });
});

describe("refused", () => {
  test.each([
    ["tree", { path: "nowhere" }, 404],
    ["tree", { path: "big.bin" }, 422],
    ["tree", { path: "../x" }, 400],
    ["tree", { path: "/etc" }, 400],
    ["tree", { snapshotId: "0".repeat(64) }, 404],
    ["tree", { snapshotId: "x" }, 400],
    ["download", { path: "nowhere" }, 404],
    ["download", { path: "src/../big.bin" }, 400],
    ["tree", { sessionId: newId("ses") }, 404],
  ] as const)("%s %j", async (route, params, status) => {
    const response = await files(route, params);
    expect([response.status, ((await response.json()) as { ok: boolean }).ok]).toEqual([status, false]);
  });

  test("a host under an old epoch, without a lease, or of another session", async () => {
    const at0 = { ...input, store: { ...input.store, epoch: input.store.epoch + 1 } };
    at.write("src/new.ts", "new");
    await expect(syncWorkspace(at0, fakeTools())).rejects.toMatchObject({ reason: "stale_epoch", retry: false });
    const other = await newSession(plane);
    const url = input.store.url.replace(sessionId, other);
    await expect(syncWorkspace({ ...input, store: { ...input.store, url } }, fakeTools())).rejects.toMatchObject({
      reason: "stale_epoch",
    });
    rmSync(`${at.root}/src/new.ts`);
  });

  test("a pack under another's name", async () => {
    const put = await fetch(`${input.store.url}/packs/${"0".repeat(64)}?epoch=${input.store.epoch}`, {
      method: "PUT",
      headers: { authorization: `Bearer ${host.token}` },
      body: "not that pack",
    });
    expect(await reasonOf(put)).toEqual([422, "pack_corrupt"]);
  });

  test("people at the hosts' store, and hosts at the people's files", async () => {
    const packs = await plane.call(`${new URL(input.store.url).pathname}/packs/${"0".repeat(64)}`);
    expect(packs.status).toBe(403);
    const tree = await files("tree", {}, { authorization: `Bearer ${host.token}` });
    expect(tree.status).toBe(403);
  });
});
