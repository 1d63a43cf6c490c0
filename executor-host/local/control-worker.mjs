/**
 * The operator's door into workerd: a second Worker beside Gantry's own, on a loopback port of its own and behind a token.
 * It exists only on one machine; nothing of it is deployed. Types stay out: `workerd:unsafe` is known to workerd alone.
 *
 *   POST /query   { binding, statements: [{ sql, params }] }   one D1 transaction → rows per statement
 *   POST /evict   { className, name, webSockets }              puts an object out of memory as the platform would
 *   POST /cron    { cron }                                     what the platform's scheduler does
 */
import unsafe from "workerd:unsafe";

// biome-ignore lint/style/noDefaultExport: workerd takes a Worker's handlers from its default export
export default {
  async fetch(request, env) {
    if (request.headers.get("authorization") !== `Bearer ${env.TOKEN}`) return new Response(null, { status: 401 });
    try {
      return Response.json((await answer(new URL(request.url).pathname, await request.json(), env)) ?? {});
    } catch (error) {
      return new Response(error instanceof Error ? error.message : String(error), { status: 422 });
    }
  },
};

async function answer(path, body, env) {
  switch (path) {
    case "/query": {
      const db = env[`D1:${body.binding}`];
      const prepared = body.statements.map(({ sql, params }) => db.prepare(sql).bind(...params));
      return (await db.batch(prepared)).map((result) => result.results);
    }
    case "/evict": {
      const namespace = env[`DO:${body.className}`];
      if (namespace === undefined) throw new Error(`No Durable Object class ${body.className}`);
      return unsafe.evict(namespace.get(namespace.idFromName(body.name)), { webSockets: body.webSockets });
    }
    case "/cron":
      return env.WORKER.scheduled({ cron: body.cron, scheduledTime: new Date() });
    default:
      throw new Error(`No door ${path}`);
  }
}
