/** A Worker that writes: what supervision is tested with. Bindings as in wrangler.toml, so that its configuration fits. */
import { DurableObject } from "cloudflare:workers";

export class FleetObject extends DurableObject {}

export class SessionObject extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.born = crypto.randomUUID();
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS written(id TEXT PRIMARY KEY) WITHOUT ROWID");
  }

  write(id) {
    this.ctx.storage.sql.exec("INSERT OR IGNORE INTO written VALUES (?)", id);
  }

  all() {
    return this.ctx.storage.sql
      .exec("SELECT id FROM written")
      .toArray()
      .map((row) => row.id);
  }

  instance() {
    return this.born;
  }

  fetch() {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(socket, message) {
    socket.send(message);
  }
}

// biome-ignore lint/style/noDefaultExport: workerd takes a Worker's handlers from its default export
export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const stub = env.SESSION.getByName("counter");
    switch (url.pathname) {
      case "/api/write":
        await stub.write(url.searchParams.get("id"));
        return Response.json({});
      case "/api/all":
        return Response.json(await stub.all());
      case "/api/instance":
        return new Response(await stub.instance());
      case "/api/socket":
        return stub.fetch(request);
      case "/api/secret":
        return new Response(env.SIGNING_KEY);
      default:
        return new Response("from the worker", { status: 404 });
    }
  },
  async scheduled(controller, env) {
    await env.DB.prepare("INSERT INTO fired VALUES (?)").bind(controller.cron).run();
  },
};
