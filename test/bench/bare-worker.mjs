/**
 * The floor: the least a Durable Object can do and still keep what it passes on. A frame comes in, one row is inserted,
 * the frame goes out to every viewer; the platform holds it back until the row is on disk. No sign-in, no validation,
 * no numbering, no acknowledgement.
 *
 *   /socket?session=NAME&role=host
 *   /socket?session=NAME&role=viewer&cursor=N    the rows after N, then "live", then what happens
 */
import { DurableObject } from "cloudflare:workers";

const FRAME_CHARS = 1024 * 1024;

export class BareObject extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, events TEXT NOT NULL)");
  }

  async fetch(request) {
    const { searchParams } = new URL(request.url);
    const role = searchParams.get("role");
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server, [role]);
    if (role === "viewer") this.#catchUp(server, Number(searchParams.get("cursor")));
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(_ws, text) {
    this.ctx.storage.sql.exec("INSERT INTO log (events) VALUES (?)", text);
    for (const viewer of this.ctx.getWebSockets("viewer")) viewer.send(text);
  }

  webSocketClose(ws, code) {
    ws.close(code === 1005 || code === 1006 ? 1000 : code);
  }

  /** Rows joined to frames, as the session does it. */
  #catchUp(ws, cursor) {
    let parts = [];
    let chars = 0;
    for (const { events } of this.ctx.storage.sql.exec("SELECT events FROM log WHERE seq > ? ORDER BY seq", cursor)) {
      if (chars + events.length > FRAME_CHARS) {
        ws.send(`[${parts.join(",")}]`);
        parts = [];
        chars = 0;
      }
      parts.push(events);
      chars += events.length;
    }
    if (parts.length > 0) ws.send(`[${parts.join(",")}]`);
    ws.send('{"type":"live"}');
  }
}

// biome-ignore lint/style/noDefaultExport: workerd takes a Worker's handlers from its default export
export default {
  fetch(request, env) {
    return env.BARE.getByName(new URL(request.url).searchParams.get("session")).fetch(request);
  },
};
