/**
 * D1 on workerd with its migrations, for code of the Worker that runs in the test. Wrangler's own stand-in for a binding
 * asks workerd, and waits, for each property that is read; this one asks once for each statement that is run.
 */
import { Miniflare } from "miniflare";
import { applyMigrations, type Statement } from "../../../executor-host/local/migrate.ts";
import { inRepository } from "../../../executor-host/local/repository.ts";

const EDGE = `export default {
  async fetch(request, { DB }) {
    const { how, statements } = await request.json();
    const prepared = statements.map(({ sql, params }) => DB.prepare(sql).bind(...params));
    try {
      return Response.json((await (how === "batch" ? DB.batch(prepared) : prepared[0][how]())) ?? null);
    } catch (error) {
      return new Response(error.message, { status: 422 });
    }
  },
};`;

type How = "all" | "raw" | "run" | "first" | "batch";

export class IndexUnderTest {
  /** Runs before each statement and each batch. */
  before: () => Promise<void> = async () => {};
  readonly #edge: Miniflare;
  readonly #origin: URL;

  static async start(): Promise<IndexUnderTest> {
    const edge = new Miniflare({
      workers: [
        {
          config: {
            name: "index",
            compatibilityDate: "2026-09-01",
            manifest: { mainModule: "edge.mjs", modules: { "edge.mjs": { type: "esm", contents: EDGE } } },
            env: { DB: { type: "d1", id: "DB" } },
            exports: {},
          },
        },
      ],
      cf: false,
      telemetry: { enabled: false },
    } as unknown as ConstructorParameters<typeof Miniflare>[0]);
    const index = new IndexUnderTest(edge, await edge.ready);
    const transact = async (statements: Statement[]) =>
      ((await index.#ask("batch", statements)) as { results: Record<string, unknown>[] }[]).map(
        ({ results }) => results,
      );
    await applyMigrations(inRepository("migrations"), transact);
    return index;
  }

  private constructor(edge: Miniflare, origin: URL) {
    this.#edge = edge;
    this.#origin = origin;
  }

  async close(): Promise<void> {
    await this.#edge.dispose();
  }

  /** The binding, as far as drizzle uses it. */
  binding(): D1Database {
    const statement = (sql: string, params: unknown[]): object => {
      const run = (how: How) => async () => {
        await this.before();
        return this.#ask(how, [{ sql, params }]);
      };
      const runs = { all: run("all"), raw: run("raw"), run: run("run"), first: run("first") };
      return { sql, params, bind: (...bound: unknown[]) => statement(sql, bound), ...runs };
    };
    return {
      prepare: (sql: string) => statement(sql, []),
      batch: async (statements: Statement[]) => {
        await this.before();
        return this.#ask("batch", statements);
      },
    } as unknown as D1Database;
  }

  /** Outside of `before`. */
  async sql(sql: string, ...params: unknown[]): Promise<void> {
    await this.#ask("run", [{ sql, params }]);
  }

  async #ask(how: How, statements: Statement[]): Promise<unknown> {
    const asked = statements.map(({ sql, params }) => ({ sql, params }));
    const response = await fetch(this.#origin, { method: "POST", body: JSON.stringify({ how, statements: asked }) });
    if (!response.ok) throw new Error(await response.text());
    return response.json();
  }
}
