/** The store's functions alone on workerd, over a real R2 bucket: what `edge-workerd.test.ts` talks to. */
import { r2Store } from "../../../worker/store/r2.ts";
import {
  entriesBelow,
  findEntry,
  listTree,
  loadManifest,
  ManifestCache,
  readFile,
} from "../../../worker/store/read.ts";
import { missingPacks, putPack, putSnapshot } from "../../../worker/store/receive.ts";
import { zipEntries } from "../../../worker/store/zip.ts";

const shelf = { organizationId: "org_1", sessionId: "ses_1" };
const cache = new ManifestCache();

const bodyOf = (request) => ({ stream: request.body, length: Number(request.headers.get("content-length")) });

async function answer(request, bucket) {
  const store = r2Store(bucket);
  const url = new URL(request.url);
  const [, kind, name = ""] = url.pathname.replace(/^\/store/, "").split("/");
  const path = url.searchParams.get("path") ?? "";
  if (kind === "packs" && name === "missing") {
    const { packs } = await request.json();
    return Response.json({ missing: await missingPacks(store, shelf, packs) });
  }
  if (kind === "packs") return Response.json({ outcome: await putPack(store, shelf, name, bodyOf(request)) });
  if (request.method === "POST") {
    const base = url.searchParams.get("base");
    const body = new Uint8Array(await request.arrayBuffer());
    const put = await putSnapshot(store, shelf, base === null ? { body } : { body, base });
    return Response.json(put, { status: put.ok ? 200 : 422 });
  }
  const manifest = await loadManifest(store, shelf, name, cache);
  if (manifest === undefined) return new Response(null, { status: 404 });
  if (kind === "tree") return Response.json(listTree(manifest, path, "hide"));
  if (kind === "zip")
    return new Response(zipEntries(store, shelf, manifest, path, entriesBelow(manifest, path, "hide")));
  const entry = findEntry(manifest, path);
  if (entry?.kind !== "file") return new Response(null, { status: 404 });
  return new Response(readFile(store, shelf, manifest, entry));
}

// biome-ignore lint/style/noDefaultExport: a Worker's entry
export default {
  fetch: (request, env) => answer(request, env.STORE),
};
