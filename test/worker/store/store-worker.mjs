/** The stores themselves on workerd, one call of the port for each request: what `store-contract.test.ts` talks to. */
import { StoreUnavailable } from "../../../worker/store/object-store.ts";
import { openStore } from "../../../worker/store/open-store.ts";

async function answer(request, env) {
  const store = await openStore(env);
  const url = new URL(request.url);
  const [key, sha256, from, length, prefix, cursor] = ["key", "sha256", "from", "length", "prefix", "cursor"].map(
    (name) => url.searchParams.get(name) ?? undefined,
  );
  switch (url.pathname) {
    case "/head":
      return Response.json((await store.head(key)) ?? null);
    case "/get": {
      const range = from === undefined ? undefined : { offset: Number(from), length: Number(length) };
      const object = await store.get(key, range);
      if (object === undefined) return new Response(null, { status: 404 });
      const bytes = url.searchParams.has("stream") ? object.body : await object.bytes();
      return new Response(bytes, { headers: { "x-length": String(object.length) } });
    }
    case "/put": {
      const body = url.searchParams.has("stream")
        ? { stream: request.body, length: Number(request.headers.get("content-length")) }
        : new Uint8Array(await request.arrayBuffer());
      return Response.json(await store.putIfAbsent(key, body, sha256));
    }
    case "/list":
      return Response.json(await store.list({ prefix, cursor }));
    case "/remove":
      return Response.json((await store.remove(key)) ?? null);
    case "/presign":
      if (store.direct === undefined) return Response.json(null);
      return Response.json(
        await (length === undefined
          ? store.direct.presignGet(key)
          : store.direct.presignPut(key, Number(length), sha256)),
      );
    default:
      return new Response(null, { status: 404 });
  }
}

// biome-ignore lint/style/noDefaultExport: a Worker's entry
export default {
  async fetch(request, env) {
    try {
      return await answer(request, env);
    } catch (error) {
      return new Response(error.message, { status: error instanceof StoreUnavailable ? 503 : 500 });
    }
  },
};
