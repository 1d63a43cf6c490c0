/** The sweep of the store against uploads, with D1 as it is, a store that the test looks into, and a clock that it moves. */

import { zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { encodeManifest } from "#protocol/manifest-text.ts";
import type { Manifest } from "#protocol/snapshot.ts";
import { countOn } from "../../../worker/db/condemned.ts";
import { reserve } from "../../../worker/db/shelves.ts";
import { pinSnapshot } from "../../../worker/db/snapshots.ts";
import { packKey, type Shelf, snapshotKey } from "../../../worker/store/keys.ts";
import { sha256 } from "../../../worker/store/manifest-bytes.ts";
import { missingPacks, putPack, putSnapshot } from "../../../worker/store/receive.ts";
import { type SweepEnv, sweepShelf } from "../../../worker/store/sweep.ts";
import { MemoryStore } from "../../executor-host/workspace/store-peer.ts";
import { IndexUnderTest } from "./index-under-test.ts";

const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;
let index: IndexUnderTest;
let env: SweepEnv;
let shelf: Shelf;
let store: MemoryStore;
let now: number;
let current: string | undefined;
let seq = 0;
/** What runs before each step of a sweep that the outside can see. */
let before: () => Promise<void>;

beforeAll(async () => {
  index = await IndexUnderTest.start();
  index.before = () => before();
  const view = async () => {
    await before();
    return { ok: true, view: { workspace: { snapshotId: current } } };
  };
  env = {
    DB: index.binding(),
    SESSION: { getByName: () => ({ view }) } as unknown as SweepEnv["SESSION"],
    STORE: {} as R2Bucket,
  };
}, 180_000);
afterAll(() => index.close());

let shelves = 0;
beforeEach(() => {
  shelf = { organizationId: "org_1", sessionId: `ses_${++shelves}` };
  now = Date.parse("2026-03-01");
  current = undefined;
  before = async () => {};
  store = new MemoryStore();
  store.now = () => now;
  store.pageKeys = 2;
  for (const step of ["list", "get", "remove"] as const) {
    const real = store[step].bind(store) as (...args: unknown[]) => Promise<unknown>;
    Object.assign(store, {
      [step]: async (...args: unknown[]) => {
        await before();
        return real(...args);
      },
    });
  }
});

const sweep = () => sweepShelf(env, store, shelf, now);
const packs = () => [...store.objects.keys()].filter((key) => key.startsWith(packKey(shelf, "").slice(0, -1))).length;
const rules = { countOn: (names: readonly string[]) => countOn(env, shelf, names) };
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** A snapshot with one pack for each text, made as a host does: missing first, then the packs, then the commit. */
async function upload(texts: string[], into = shelf): Promise<{ ok: boolean; reason?: string; snapshotId: string }> {
  const contents = new Map(texts.map((text) => [sha256(bytesOf(text)), bytesOf(text)]));
  const manifest: Manifest = {
    version: 1,
    sessionId: into.sessionId,
    createdAt: ++seq,
    packs: [...contents].map(([hash, { length }]) => ({
      hash,
      length,
      frames: [{ offset: 0, length, chunks: [{ hash: sha256(bytesOf(hash)), length: 1 }] }],
    })),
    entries: [...contents.keys()]
      .map((hash) => ({
        kind: "file" as const,
        path: hash,
        mode: 0o644,
        size: 1,
        mtimeMs: 0,
        hash: sha256(bytesOf(hash)),
      }))
      .sort((a, b) => (a.path < b.path ? -1 : 1)),
    omitted: [],
  };
  for (const hash of await missingPacks(store, into, [...contents.keys()], rules)) {
    await reserve(env, into, contents.get(hash)!.length);
    await putPack(store, into, hash, contents.get(hash)!);
  }
  await reserve(env, into, 0);
  const text = encodeManifest(manifest);
  const put = await putSnapshot(store, into, { body: zstdCompressSync(text) }, rules);
  const snapshotId = sha256(text);
  if (!put.ok) return { ok: false, reason: put.reason, snapshotId };
  current = snapshotId;
  await list(snapshotId);
  return { ok: true, snapshotId };
}
const list = (id: string) =>
  index.sql(
    "insert into snapshots (id, organization_id, session_id, files, bytes, created_at, version) values (?,?,?,1,1,?,?)",
    id,
    shelf.organizationId,
    shelf.sessionId,
    now,
    seq,
  );
const hasAll = async (id: string, texts: string[]) =>
  store.objects.has(snapshotKey(shelf, id)) &&
  texts.every((text) => store.objects.has(packKey(shelf, sha256(bytesOf(text)))));

describe("[R-3.6] pruning", () => {
  test("keeps the newest three, what is pinned, and a day of everything", async () => {
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) ids.push((await upload([`version ${i}`, "shared"])).snapshotId);
    expect(await pinSnapshot(env, "org_1", { id: ids[1]!, holder: "people", by: "Ann", now })).toBe(true);
    expect(await sweep()).toMatchObject({ pruned: 0, removed: [] });
    now += DAY + 1;
    expect(await sweep()).toMatchObject({ pruned: 2, removed: [] });
    for (const [i, id] of ids.entries()) expect(await hasAll(id, [`version ${i}`, "shared"])).toBe(true);
    // What was given up cannot be pinned any more.
    expect(await pinSnapshot(env, "org_1", { id: ids[0]!, holder: "people", by: "Ann", now })).toBe(false);
    now += DAY + 1;
    const { removed, freedBytes } = await sweep();
    expect([removed.length, freedBytes > 0]).toEqual([4, true]);
    for (const [i, id] of ids.entries())
      expect([i, await hasAll(id, [`version ${i}`, "shared"])]).toEqual([i, i === 1 || i > 2]);
    expect(await sweep()).toMatchObject({ pruned: 0, removed: [], condemned: 0 });
  });

  test("never takes the session's own newest, however far the index lags", async () => {
    const { snapshotId } = await upload(["a"]);
    await index.sql("delete from snapshots where id = ?", snapshotId);
    now += 2 * DAY;
    await sweep();
    now += 2 * DAY;
    expect((await sweep()).removed).toEqual([]);
    expect(await hasAll(snapshotId, ["a"])).toBe(true);
  });

  test("a deleted session's data go after the grace, pins and all", async () => {
    const { snapshotId } = await upload(["a", "b"]);
    await pinSnapshot(env, "org_1", { id: snapshotId, holder: "people", by: "Ann", now });
    await index.sql(
      "insert into sessions (id, organization_id, title, provider, vm_mode, created_by_id, created_by_name, created_at, updated_at, deleted, version) values (?, 'org_1', 't', 'scripted', 'docker', 'u', 'u', 1, ?, 1, 1)",
      shelf.sessionId,
      now,
    );
    current = undefined;
    now += DAY - 1;
    expect(await sweep()).toMatchObject({ pruned: 0 });
    now += 2;
    expect(await sweep()).toMatchObject({ pruned: 1, removed: [] });
    now += DAY + 1;
    expect((await sweep()).removed).toHaveLength(3);
    expect(packs()).toBe(0);
  });
});

describe("collecting", () => {
  test("packs of an upload or a fork that broke off go a day after they were found, no sooner", async () => {
    await reserve(env, shelf, 1);
    await putPack(store, shelf, sha256(bytesOf("left")), bytesOf("left"));
    await sweep();
    now += DAY - HOUR;
    expect((await sweep()).removed).toEqual([]);
    now += 2 * HOUR;
    expect((await sweep()).removed).toEqual([`packs/${sha256(bytesOf("left"))}`]);
  });

  test("an upload that asked for a pack within the grace finds it at its commit", async () => {
    await putPack(store, shelf, sha256(bytesOf("early")), bytesOf("early"));
    await sweep();
    now += DAY - HOUR;
    expect(await missingPacks(store, shelf, [sha256(bytesOf("early"))], rules)).toEqual([]);
    now += 2 * HOUR;
    await sweep();
    expect(await upload(["early"])).toMatchObject({ ok: true });
  });

  test("a snapshot that cannot be read keeps everything on its shelf", async () => {
    const { snapshotId } = await upload(["a"]);
    await putPack(store, shelf, sha256(bytesOf("left")), bytesOf("left"));
    store.objects.get(snapshotKey(shelf, snapshotId))![9]! ^= 1;
    for (let day = 0; day < 3; day++, now += DAY + 1) await expect(sweep()).rejects.toThrow(/damaged/);
    expect(packs()).toBe(2);
  });

  test("what a sweep that died had claimed is finished by a later one", async () => {
    await putPack(store, shelf, sha256(bytesOf("left")), bytesOf("left"));
    await sweep();
    now += DAY + 1;
    store.remove = async () => {
      throw new Error("the platform ended this");
    };
    await expect(sweep()).rejects.toThrow(/ended/);
    expect(await missingPacks(store, shelf, [sha256(bytesOf("left"))], rules)).toHaveLength(1);
    store.remove = MemoryStore.prototype.remove.bind(store);
    now += HOUR;
    expect((await sweep()).removed).toHaveLength(1);
    expect(await upload(["left"])).toMatchObject({ ok: true });
  });

  test("an upload between any two steps of a sweep is never left without a pack", async () => {
    let broken = 0;
    let refused = 0;
    let steps = 0;
    for (let at = 0; ; at++) {
      shelf = { organizationId: "org_1", sessionId: `ses_i${at}` };
      store.objects.clear();
      current = undefined;
      before = async () => {};
      await upload(["kept"]);
      await putPack(store, shelf, sha256(bytesOf("waste")), bytesOf("waste"));
      await sweep();
      now += DAY + 1;
      // The sweep is about to remove "waste"; at step `at` somebody's upload counts on it.
      let step = 0;
      let first: Awaited<ReturnType<typeof upload>> | undefined;
      before = async () => {
        if (step++ !== at) return;
        const hook = before;
        before = async () => {};
        first = await upload(["kept", "waste"]);
        before = hook;
      };
      await sweep();
      before = async () => {};
      if (first === undefined) break;
      steps++;
      if (!first.ok) {
        expect(first.reason).toBe("packs_missing");
        refused++;
      } else if (!(await hasAll(first.snapshotId, ["kept", "waste"]))) broken++;
      // Asked again, as the host does, it goes through.
      const second = await upload(["kept", "waste"]);
      expect([at, second.ok, await hasAll(second.snapshotId, ["kept", "waste"])]).toEqual([at, true, true]);
      now += DAY + 1;
      await sweep();
      expect(await hasAll(second.snapshotId, ["kept", "waste"])).toBe(true);
    }
    expect([broken, steps >= 8, refused > 0, refused < steps]).toEqual([0, true, true, true]);
  }, 120_000);

  test("a pin between any two steps of a sweep either holds or is refused", async () => {
    const answers = new Set<boolean>();
    for (let at = 0, more = true; more; at++) {
      shelf = { organizationId: "org_1", sessionId: `ses_p${at}` };
      store.objects.clear();
      const { snapshotId } = await upload(["old"]);
      for (let i = 0; i < 3; i++) {
        seq++;
        await list(sha256(bytesOf(`${at}/${i}`)));
      }
      now += DAY + 1;
      let step = 0;
      let pinned: boolean | undefined;
      before = async () => {
        if (step++ !== at) return;
        before = async () => {};
        pinned = await pinSnapshot(env, "org_1", { id: snapshotId, holder: "people", by: "Ann", now });
      };
      current = undefined;
      await sweep();
      before = async () => {};
      now += DAY + 1;
      await sweep();
      more = pinned !== undefined;
      if (pinned !== undefined) {
        answers.add(pinned);
        expect([at, await hasAll(snapshotId, ["old"])]).toEqual([at, pinned]);
      }
    }
    expect(answers).toEqual(new Set([true, false]));
  }, 120_000);
});

describe("quota", () => {
  test("says which, how much is used, and what to do; many at once do not pass together", async () => {
    await index.sql(
      "insert into organizations (id, name, created_at, session_store_bytes, organization_store_bytes) values ('org_q', 'Q', 1, 1000, 1500)",
    );
    const first = { organizationId: "org_q", sessionId: "ses_a" };
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => reserve(env, first, 300)));
    expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(3);
    expect(outcomes.find((outcome) => outcome !== undefined)).toMatchObject({
      reason: "quota_exceeded",
      message: expect.stringMatching(
        /^The session has 900 bytes of its 1000 bytes in the store, and 300 bytes more do not fit\. Remove/,
      ),
      details: { quota: "session", usedBytes: 900, limitBytes: 1000, neededBytes: 300 },
    });
    const second = { ...first, sessionId: "ses_b" };
    expect(await reserve(env, second, 600)).toBeUndefined();
    expect(await reserve(env, second, 1)).toMatchObject({ details: { quota: "organization", usedBytes: 1500 } });
    expect(await reserve(env, { organizationId: "org_none", sessionId: "ses_c" }, 10_000)).toBeUndefined();
  });
});
