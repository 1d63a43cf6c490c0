/**
 * Frames from people's pages become commands; the answer goes back to the page that asked. They take effect in the order they
 * came, also behind a prompt that waits for its app's defaults.
 */
import { parseFrame } from "#protocol/frame.ts";
import { newId } from "#protocol/ids.ts";
import { LIMITS } from "#protocol/limits.ts";
import type { Result } from "#protocol/objects.ts";
import { type FromViewer, fromViewer } from "#protocol/viewer.ts";
import { prompt } from "./prompting.ts";
import { type Viewer, viewerRefusal } from "./seen.ts";
import type { Session } from "./session.ts";

export class ViewerInbox {
  readonly #session: Session;
  readonly #database: D1Database;
  #last: Promise<unknown> = Promise.resolve();

  constructor(session: Session, database: D1Database) {
    this.#session = session;
    this.#database = database;
  }

  /** @throws ProtocolViolation for a frame that is not a command */
  async take(ws: WebSocket, raw: string | ArrayBuffer, viewer: Viewer): Promise<void> {
    const taken = this.#last.then(() => this.#take(ws, raw, viewer));
    // What it throws is its own sender's, not the next one's.
    this.#last = Promise.allSettled([taken]);
    await taken;
  }

  async #take(ws: WebSocket, raw: string | ArrayBuffer, viewer: Viewer): Promise<void> {
    const message = parseFrame(raw, fromViewer, LIMITS.viewerFrameBytes);
    if (message.type === "ack") return this.#session.acknowledged(ws, viewer, message.cursor);
    const { id } = message;
    const result = await this.#carryOut(message, viewer);
    if (result.ok) return this.#session.hub.answer(ws, { type: "answer", id, ok: true, runId: result.runId });
    const { reason, message: words, details } = result;
    this.#session.hub.answer(ws, { type: "answer", id, ok: false, reason, message: words, details });
  }

  async #carryOut(message: Exclude<FromViewer, { type: "ack" }>, viewer: Viewer): Promise<Result<{ runId?: string }>> {
    const refused = viewerRefusal(message, viewer);
    if (refused) return refused;
    const context = { commandId: message.id, actor: viewer.actor, traceId: newId("trc") };
    if (message.type === "prompt") return await prompt(this.#session, this.#database, message.prompt, context);
    const { id: _id, ...command } = message;
    return this.#session.once(context, command, command);
  }
}
