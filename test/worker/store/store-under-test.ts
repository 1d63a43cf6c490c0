/** A store on workerd, as the deployed Worker has it: R2, or S3 over a server of ours on loopback. */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import type { Listing, PresignedRequest, PutOutcome, StoredObject } from "../../../worker/store/object-store.ts";
import { S3Peer } from "../../support/s3-peer.ts";

export class StoreUnderTest {
  readonly edge: Miniflare;
  readonly origin: URL;
  readonly s3: S3Peer | undefined;

  static async start(kind: "R2" | "S3"): Promise<StoreUnderTest> {
    const s3 = kind === "S3" ? await S3Peer.start() : undefined;
    const bundle = await build({
      entryPoints: [fileURLToPath(new URL("./store-worker.mjs", import.meta.url))],
      bundle: true,
      write: false,
      format: "esm",
      // As executor-host/local/build.ts does it.
      platform: "browser",
      conditions: ["workerd", "worker", "browser"],
      mainFields: ["browser", "module", "main"],
      external: ["node:*"],
    });
    const texts = Object.entries(s3?.variables ?? {}).map(([name, value]) => [name, { type: "text", value }]);
    const contents = bundle.outputFiles[0]!.text;
    const edge = new Miniflare({
      workers: [
        {
          config: {
            name: "store",
            compatibilityDate: "2026-09-01",
            compatibilityFlags: ["nodejs_compat"],
            manifest: { mainModule: "edge.mjs", modulesRoot: "/", modules: { "edge.mjs": { type: "esm", contents } } },
            env: { STORE: { type: "r2", name: "STORE" }, ...Object.fromEntries(texts) },
            exports: {},
          },
        },
      ],
      cf: false,
      telemetry: { enabled: false },
    } as unknown as ConstructorParameters<typeof Miniflare>[0]);
    return new StoreUnderTest(edge, await edge.ready, s3);
  }

  constructor(edge: Miniflare, origin: URL, s3: S3Peer | undefined) {
    this.edge = edge;
    this.origin = origin;
    this.s3 = s3;
  }

  async close(): Promise<void> {
    await this.edge.dispose();
    await this.s3?.close();
  }

  ask(route: string, params: Record<string, string>, init?: RequestInit): Promise<Response> {
    return fetch(new URL(`/${route}?${new URLSearchParams(params)}`, this.origin), init);
  }
  async #json<T>(route: string, params: Record<string, string>, init?: RequestInit): Promise<T> {
    const response = await this.ask(route, params, init);
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  head = (key: string) => this.#json<StoredObject | null>("head", { key });
  list = (params: { prefix: string; cursor?: string }) => this.#json<Listing>("list", params);
  remove = (key: string) => this.#json<null>("remove", { key });
  presign = (params: { key: string; length?: string; sha256?: string }) =>
    this.#json<PresignedRequest | null>("presign", params);
  put = (key: string, body: Uint8Array<ArrayBuffer>, params: { sha256?: string; stream?: "1" } = {}) =>
    this.#json<PutOutcome>("put", { key, ...params }, { method: "PUT", body });
  async get(key: string, params: { from?: string; length?: string; stream?: "1" } = {}): Promise<string | undefined> {
    const response = await this.ask("get", { key, ...params });
    if (response.status === 404) return void (await response.body?.cancel());
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return response.text();
  }
}
