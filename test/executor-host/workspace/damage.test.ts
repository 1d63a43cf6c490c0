/** FACTS C2 rows 12 and 13: whatever the store or the line does to bytes is noticed, and never becomes a workspace. */
import { existsSync, lstatSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { StoreError } from "../../../executor-host/workspace/port.ts";
import { restoreWorkspace } from "../../../executor-host/workspace/restore.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import { loadManifest, ManifestCache, readFile } from "../../../worker/store/read.ts";
import { describeTree, type Fixture, fakeTools, fixture, noise } from "./fixture.ts";
import { refusal } from "./store-peer.ts";

/** Longer than a signature waits. */
const SETTLED_MS = 60;

let at: Fixture;
beforeEach(() => {
  at = fixture();
  at.write("a.txt", "some text ".repeat(200));
  at.write("b.bin", noise(3_000, 5));
  at.write("dir/c.txt", "more text");
});
afterEach(() => at.dispose());

const reasonOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "it went through",
    (error) => (error instanceof StoreError ? error.reason : String(error)),
  );

describe("damaged objects", () => {
  test("[P-snap-2] [P-snap-3] a flipped bit in any stored object stops a restore, and the workspace stays as it was", async () => {
    const { snapshotId } = await syncWorkspace(at.input);
    const { objects } = at.peer.store;
    let flipped = 0;
    for (const [key, good] of objects) {
      for (const position of [0, Math.floor(good.length / 2), good.length - 1]) {
        const bad = good.slice();
        bad[position]! ^= 1 << (position % 8);
        objects.set(key, bad);
        const there = at.elsewhere(snapshotId);
        expect(await reasonOf(restoreWorkspace(there, fakeTools())), `${key} at ${position}`).toBe("store_corrupt");
        expect(existsSync(there.root)).toBe(false);
        flipped++;
      }
      objects.set(key, good);
    }
    expect(flipped).toBe(6);
    const there = at.elsewhere(snapshotId);
    await restoreWorkspace(there);
    expect(describeTree(there.root)).toEqual(describeTree(at.root));
  });

  test("[P-snap-2] [P-snap-3] every single flipped byte is noticed when the edge reads", async () => {
    const { snapshotId } = await syncWorkspace(at.input);
    const { store, shelf } = at.peer;
    const readAll = async () => {
      const manifest = await loadManifest(store, shelf, snapshotId, new ManifestCache());
      const contents: string[] = [];
      for (const entry of manifest!.entries) {
        if (entry.kind === "file") contents.push(await new Response(readFile(store, shelf, manifest!, entry)).text());
      }
      return contents;
    };
    const whole = await readAll();
    for (const [key, good] of store.objects) {
      for (let position = 0; position < good.length; position += 7) {
        const bad = good.slice();
        bad[position]! ^= 0x10;
        store.objects.set(key, bad);
        // Bits that zstd does not use may be flipped without changing any content; other content is never given out.
        const read = await readAll().catch(() => "noticed");
        if (read !== "noticed") expect(read).toEqual(whole);
      }
      store.objects.set(key, good);
    }
  });

  test("a pack that is gone stops a restore", async () => {
    const { snapshotId } = await syncWorkspace(at.input);
    for (const key of at.peer.store.objects.keys()) if (key.includes("/packs/")) at.peer.store.objects.delete(key);
    expect(await reasonOf(restoreWorkspace(at.elsewhere(snapshotId), fakeTools()))).toBe("not_found");
  });

  test("the store takes no pack whose bytes have another name", async () => {
    at.peer.fault = ({ method, path }) => {
      if (method !== "PUT") return undefined;
      return at.peer.store.putIfAbsent("x", new Uint8Array([1]), path.slice(7)).then((outcome) => {
        expect(outcome).toBe("corrupt");
        return refusal(422, "pack_corrupt");
      });
    };
    expect(await reasonOf(syncWorkspace(at.input, fakeTools()))).toBe("pack_corrupt");
    expect(at.peer.store.objects.size).toBe(0);
  });
});

describe("a store with bad days", () => {
  /** Lets the first `count` requests of each kind fail in this way. */
  const failing = (count: number, fail: (proceed: () => Promise<Response>) => Promise<Response>) => {
    const seen = new Map<string, number>();
    at.peer.fault = ({ method, path }, proceed) => {
      const kind = `${method} ${path}`;
      const before = seen.get(kind) ?? 0;
      seen.set(kind, before + 1);
      return before < count ? fail(proceed) : undefined;
    };
  };
  const faults: Record<string, (proceed: () => Promise<Response>) => Promise<Response>> = {
    "answers 500": async () => refusal(500, "internal"),
    "answers 503 as a proxy would": async () => new Response("<html>", { status: 503 }),
    "cannot be reached": async () => {
      throw new TypeError("fetch failed");
    },
    "does the work and loses the answer": async (proceed) => {
      await proceed();
      throw new TypeError("terminated");
    },
    "cuts the answer short": async (proceed) => {
      const response = await proceed();
      const bytes = new Uint8Array(await response.arrayBuffer());
      return new Response(bytes.subarray(0, bytes.length - 1), { status: response.status });
    },
    "lets the token run out": async () => refusal(401, "token_expired"),
  };

  test.each(Object.entries(faults))("a store that %s twice is asked again", async (_, fault) => {
    failing(2, fault);
    const pauses: number[] = [];
    const { snapshotId } = await syncWorkspace(at.input, fakeTools(pauses));
    const there = at.elsewhere(snapshotId);
    await restoreWorkspace(there, fakeTools());
    expect(describeTree(there.root)).toEqual(describeTree(at.root));
    expect(pauses.slice(0, 2)).toEqual([250, 500]);
  });

  test.each(Object.entries(faults))(
    "a store that %s for good ends in an error, with nothing committed by it",
    async (name, fault) => {
      failing(1_000, fault);
      const pauses: number[] = [];
      const error = await syncWorkspace(at.input, fakeTools(pauses)).catch((error) => error);
      expect(error).toBeInstanceOf(StoreError);
      expect(error.retry).toBe(true);
      expect(pauses.length).toBe(4);
      if (!name.includes("loses")) expect(at.peer.commits).toEqual([]);
      // The next one finds everything in order.
      at.peer.fault = () => undefined;
      const { snapshotId } = await syncWorkspace(at.input, fakeTools());
      const there = at.elsewhere(snapshotId);
      await restoreWorkspace(there);
      expect(describeTree(there.root)).toEqual(describeTree(at.root));
    },
  );

  test("[P-41] a sync says how many files are new or touched before it sends any, and nothing when none is", async () => {
    const counts: number[] = [];
    const input = { ...at.input, changedFiles: (count: number) => void counts.push(count) };
    failing(1_000, async () => refusal(503, "unavailable"));
    await syncWorkspace(input, fakeTools()).catch(() => undefined);
    expect(counts).toEqual([3]);
    at.peer.fault = () => undefined;
    await syncWorkspace(input);
    counts.length = 0;
    const old = new Date(1_000_000);
    for (const path of ["a.txt", "b.bin", "dir/c.txt"]) utimesSync(join(at.root, path), old, old);
    const settled = () => Date.now() > lstatSync(join(at.root, "dir/c.txt")).ctimeMs + SETTLED_MS;
    await vi.waitUntil(settled, { interval: 10 });
    await syncWorkspace(input);
    await syncWorkspace(input);
    expect(counts).toEqual([3]);
    at.write("a.txt", "edited");
    at.write("new", "new");
    await syncWorkspace(input);
    expect(counts).toEqual([3, 2]);
  });

  test("a stale epoch ends the sync at once", async () => {
    at.peer.epoch = 2;
    const pauses: number[] = [];
    const error = await syncWorkspace(at.input, fakeTools(pauses)).catch((error) => error);
    expect(error).toMatchObject({ reason: "stale_epoch", retry: false });
    expect(pauses).toEqual([]);
    expect(at.peer.store.objects.size).toBe(0);
  });

  test("nothing is committed that points to a pack that is not there", async () => {
    at.peer.fault = ({ method }) => (method === "PUT" ? Response.json({}, { status: 201 }) : undefined);
    const error = await syncWorkspace(at.input, fakeTools()).catch((error) => error);
    expect(error).toMatchObject({ reason: "packs_missing", retry: true });
    expect(at.peer.commits).toEqual([]);
  });

  test("when the store has lost what the last snapshot pointed to, the next sync sends it again", async () => {
    await syncWorkspace(at.input);
    at.peer.store.objects.clear();
    at.write("a.txt", "edited");
    await syncWorkspace(at.input, fakeTools()).catch(() => undefined);
    const { snapshotId } = await syncWorkspace(at.input, fakeTools());
    const there = at.elsewhere(snapshotId);
    await restoreWorkspace(there);
    expect(describeTree(there.root)).toEqual(describeTree(at.root));
  });

  test("a commit whose base the store lost is sent whole", async () => {
    const first = await syncWorkspace(at.input);
    at.peer.store.objects.delete(`orgs/org_1/sessions/ses_1/snapshots/${first.snapshotId}`);
    at.write("a.txt", "edited");
    const { snapshotId } = await syncWorkspace(at.input, fakeTools());
    expect(at.peer.commits.at(-1)?.snapshotId).toBe(snapshotId);
  });

  test("a sync that is called off stops", async () => {
    const stop = new AbortController();
    at.peer.fault = () => {
      stop.abort(new Error("called off"));
      return undefined;
    };
    await expect(syncWorkspace({ ...at.input, signal: stop.signal }, fakeTools())).rejects.toThrow("called off");
    expect(at.peer.commits).toEqual([]);
  });
});
