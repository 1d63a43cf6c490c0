/** A fork: another session with the same files, on the whole control plane, and with stores that are not as they should be. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newId } from "#protocol/ids.ts";
import type { RunStart } from "#protocol/messages.ts";
import type { SyncInput } from "../../executor-host/workspace/port.ts";
import { restoreWorkspace } from "../../executor-host/workspace/restore.ts";
import { syncWorkspace } from "../../executor-host/workspace/sync.ts";
import { FORK_LIMITS, forkSnapshot } from "../../worker/store/fork.ts";
import { packKey, snapshotKey } from "../../worker/store/keys.ts";
import { describeTree, type Fixture, fakeTools, fixture, noise } from "../executor-host/workspace/fixture.ts";
import type { TestControlPlane } from "../support/control-plane.ts";
import { newSession, Page } from "../support/live-session.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import { sharedControlPlane } from "../support/shared-control-plane.ts";

describe("[S-23] a fork", () => {
  let plane: TestControlPlane;
  let host: ScriptedHost;
  let at: Fixture;
  let parent: string;
  const ids: string[] = [];
  let earlier: string[];

  beforeAll(async () => {
    plane = await sharedControlPlane();
    host = await ScriptedHost.online(plane.url, (await plane.bootstrap("joinToken")).joinToken ?? "");
    parent = await newSession(plane);
    at = fixture();
    const { input } = await work(parent);
    at.write("src/main.ts", "export {};\n");
    at.write("big.bin", noise(2_500_000, 5));
    ids.push((await syncWorkspace(input, fakeTools())).snapshotId);
    earlier = describeTree(at.root);
    at.write("src/main.ts", "export const changed = 1;\n");
    ids.push((await syncWorkspace(input, fakeTools())).snapshotId);
  });
  afterAll(async () => {
    at.dispose();
    await plane.dispose();
  });

  /** The host takes the session's next run. */
  async function work(sessionId: string): Promise<{ input: SyncInput; run: RunStart }> {
    const page = await Page.open(plane, sessionId);
    await page.ask({ type: "prompt", prompt: { text: "work" } });
    const { assignment, data } = await host.takeAssignment();
    const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
    const url = new URL(assignment.storeUrl, plane.url).href;
    const store = { url, token: () => host.token, epoch: assignment.epoch };
    return { input: { ...at.input, sessionId, store }, run };
  }
  const fork = async (body: object, headers: Record<string, string> = {}, of = parent) => {
    const response = await plane.call(`/api/sessions/${of}/fork`, { method: "POST", body, headers });
    const answer = (await response.json()) as { session?: { id: string; title: string }; reason?: string };
    return { status: response.status, ...answer };
  };

  test("of an earlier snapshot begins with its files, and goes on from there", async () => {
    const { status, session } = await fork({ snapshotId: ids[0] });
    expect([status, session?.title]).toEqual([201, "Test (fork)"]);
    const { input, run } = await work(session!.id);
    expect(run.snapshotId).toMatch(/^[0-9a-f]{64}$/);
    const there = { ...at.elsewhere(run.snapshotId!), sessionId: session!.id, store: input.store };
    await restoreWorkspace(there, fakeTools());
    expect(describeTree(there.root)).toEqual(earlier);
    const { snapshotId: _, ...again } = there;
    expect((await syncWorkspace(again, fakeTools())).bytesSent).toBeLessThan(5_000);
  });

  test("of the newest one is there for people at once", async () => {
    const { session } = await fork({ title: "Another way" });
    const tree = await plane.call(`/api/files/download?sessionId=${session!.id}&path=src/main.ts`);
    expect(await tree.text()).toBe("export const changed = 1;\n");
    expect(session?.title).toBe("Another way");
  });

  test("asked for twice with one key is one session", async () => {
    const headers = { "idempotency-key": "fork-1" };
    const [first, second] = [await fork({}, headers), await fork({}, headers)];
    expect([second.status, second.session?.id]).toEqual([201, first.session?.id]);
  });

  test.each([
    [{ snapshotId: "0".repeat(64) }, undefined, 404, "snapshot_not_found"],
    [{ snapshotId: "../x" }, undefined, 400, "malformed"],
    [{}, newId("ses"), 404, "not_found"],
  ] as const)("%j of %s is refused", async (body, of, status, reason) => {
    expect(await fork(body, {}, of)).toMatchObject({ status, reason });
  });

  test("that finds no room in the quota is refused with what to do, and leaves no session", async () => {
    const sessions = async () =>
      ((await (await plane.call("/api/sessions")).json()) as { sessions: unknown[] }).sessions;
    const before = await sessions();
    const headers = { "idempotency-key": "fork-quota" };
    await plane.call("/api/organization", { method: "PATCH", body: { sessionStoreBytes: 10_000 } });
    const refused = await fork({}, headers);
    expect(refused).toMatchObject({ status: 422, reason: "quota_exceeded" });
    expect((refused as { message?: string }).message).toMatch(/^No new session was made\. .*Ask an administrator/);
    expect(await sessions()).toEqual(before);
    await plane.call("/api/organization", { method: "PATCH", body: { sessionStoreBytes: null } });
    expect((await fork({}, headers)).status).toBe(201);
  });

  test("of a session that has saved nothing is refused, and so is another session's snapshot", async () => {
    const empty = await newSession(plane);
    expect(await fork({}, {}, empty)).toMatchObject({ status: 404, reason: "snapshot_not_found" });
    expect(await fork({ snapshotId: ids[0] }, {}, empty)).toMatchObject({ status: 404, reason: "snapshot_not_found" });
  });
});

describe("copying inside the store", () => {
  const to = { organizationId: "org_1", sessionId: "ses_2" };

  async function saved() {
    const at = fixture();
    at.write("a.txt", "a".repeat(1_000));
    const { snapshotId } = await syncWorkspace(at.input, fakeTools());
    at.dispose();
    return { store: at.peer.store, shelf: at.peer.shelf, snapshotId };
  }
  const packs = (keys: Iterable<string>) => [...keys].filter((key) => key.includes("/packs/"));

  test("brings packs first and the manifest last; again, nothing more", async () => {
    const { store, shelf, snapshotId } = await saved();
    const first = await forkSnapshot(store, shelf, to, snapshotId);
    const keys = [...store.objects.keys()].filter((key) => key.includes("ses_2"));
    expect(first).toMatchObject({ ok: true, files: 1, bytes: 1_000 });
    expect(keys.at(-1)).toBe(first.ok && snapshotKey(to, first.snapshotId));
    const reads = store.reads.length;
    expect(await forkSnapshot(store, shelf, to, snapshotId)).toEqual(first);
    expect(packs(store.reads.slice(reads).map(({ key }) => key))).toEqual([]);
  });

  test("says when packs were pruned, and stores no manifest then", async () => {
    const { store, shelf, snapshotId } = await saved();
    for (const key of packs(store.objects.keys())) store.objects.delete(key);
    expect(await forkSnapshot(store, shelf, to, snapshotId)).toMatchObject({ ok: false, reason: "gone" });
    expect([...store.objects.keys()].filter((key) => key.includes("ses_2"))).toEqual([]);
  });

  test("takes no damaged pack", async () => {
    const { store, shelf, snapshotId } = await saved();
    const key = packs(store.objects.keys())[0]!;
    store.objects.set(
      key,
      store.objects.get(key)!.map((byte, at) => (at === 9 ? byte ^ 1 : byte)),
    );
    await expect(forkSnapshot(store, shelf, to, snapshotId)).rejects.toThrow(/damaged/);
    expect(store.objects.has(packKey(to, key.split("/").at(-1)!))).toBe(false);
  });

  test("has a bound that leaves room under the platform's", () => {
    expect(FORK_LIMITS.packs * 3 + 2).toBeLessThan(1_000);
  });
});
