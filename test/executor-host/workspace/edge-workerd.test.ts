/** The same code where it will run: zstd as workerd has it, hashes checked by R2, streams of known length. */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { unzipSync } from "fflate";
import { Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import { type Fixture, fixture, noise } from "./fixture.ts";

let at: Fixture;
let edge: Miniflare;
let origin: URL;
let snapshotId: string;
const big = noise(3_500_000, 21);

beforeAll(async () => {
  const bundle = await build({
    entryPoints: [fileURLToPath(new URL("./edge-worker.mjs", import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    conditions: ["workerd", "worker"],
  });
  const contents = bundle.outputFiles[0]!.text;
  edge = new Miniflare({
    workers: [
      {
        config: {
          name: "edge",
          compatibilityDate: "2026-09-01",
          compatibilityFlags: ["nodejs_compat"],
          manifest: { mainModule: "edge.mjs", modulesRoot: "/", modules: { "edge.mjs": { type: "esm", contents } } },
          env: { STORE: { type: "r2", name: "STORE" } },
          exports: {},
        },
      },
    ],
    cf: false,
    telemetry: { enabled: false },
  } as unknown as ConstructorParameters<typeof Miniflare>[0]);
  origin = await edge.ready;
  at = fixture();
  at.input.store = { ...at.input.store, url: new URL("/store", origin).href, fetch };
  at.write("a/text.txt", "text ".repeat(1_000));
  at.write("exact.bin", noise(1024 * 1024, 22));
  at.write("big.bin", big);
  for (let i = 0; i < 300; i++) at.write(`many/${i}.txt`, `file ${i} `.repeat(i));
  snapshotId = (await syncWorkspace(at.input)).snapshotId;
});
afterAll(async () => {
  await edge.dispose();
  at.dispose();
});

const get = (kind: string, path: string) =>
  fetch(new URL(`/${kind}/${snapshotId}?path=${encodeURIComponent(path)}`, origin));

test("a sync goes into R2, and again as a delta", async () => {
  at.write("a/new.txt", "new");
  const second = await syncWorkspace(at.input);
  expect(second.changed).toBe(true);
  expect(second.bytesSent).toBeLessThan(2_000);
  expect(await syncWorkspace(at.input)).toMatchObject({ changed: false, snapshotId: second.snapshotId });
});

test("files come back as they were, small, of exactly one frame, and large", async () => {
  expect(await (await get("file", "a/text.txt")).text()).toBe("text ".repeat(1_000));
  expect(new Uint8Array(await (await get("file", "exact.bin")).arrayBuffer())).toEqual(noise(1024 * 1024, 22));
  expect(new Uint8Array(await (await get("file", "big.bin")).arrayBuffer())).toEqual(big);
});

test("a folder comes as zip", async () => {
  const files = unzipSync(new Uint8Array(await (await get("zip", "many")).arrayBuffer()));
  expect(Object.keys(files).length).toBe(300);
  expect(new TextDecoder().decode(files["299.txt"])).toBe("file 299 ".repeat(299));
});

test("R2 takes a pack once, and never under another's name", async () => {
  const bytes = new TextEncoder().encode("pack");
  const name = Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
  const put = async (body: Uint8Array<ArrayBuffer>) =>
    (await fetch(new URL(`/packs/${name}`, origin), { method: "PUT", body })).json();
  expect(await put(new TextEncoder().encode("pacK"))).toEqual({ outcome: "corrupt" });
  expect(await put(bytes)).toEqual({ outcome: "stored" });
  expect(await put(bytes)).toEqual({ outcome: "already_there" });
});

test("a damaged manifest is refused", async () => {
  const response = await fetch(new URL("/snapshots", origin), { method: "POST", body: "not zstd" });
  expect(await response.json()).toMatchObject({ ok: false, reason: "snapshot_invalid" });
});
