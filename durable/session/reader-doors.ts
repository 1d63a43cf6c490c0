/** Where readers come in: pages by WebSocket, everyone else by SSE. The worker has said who they are. */
import type { Actor } from "#protocol/events.ts";
import { closeSocket } from "../shell/host-handshake.ts";
import type { Viewer } from "./seen.ts";
import { type Session, VIEWER_TAG } from "./session.ts";

/** What a page's socket carries over hibernation. */
export type ViewerSocket = Viewer & { kind: "viewer"; credential?: string };

export async function openViewer(
  session: Session,
  ctx: DurableObjectState,
  server: WebSocket,
  request: Request,
): Promise<void> {
  const actor = JSON.parse(request.headers.get("x-gantry-actor") ?? "{}") as Actor;
  const cursor = cursorOf(new URL(request.url));
  const archived = await session.hub.archived(cursor, session.view.cursor);
  // From here on nothing is awaited: what happens now is in the tail, what happens later is live.
  ctx.acceptWebSocket(server, [VIEWER_TAG]);
  const credential = credentialOf(request);
  const mayReply = request.headers.get("x-gantry-may-reply") === "1";
  server.serializeAttachment({ kind: "viewer", actor, mayReply, credential } satisfies ViewerSocket);
  session.hub.join(server, cursor, session.view, session.hostSockets("live").length > 0, archived);
}

/** Closes the pages and streams that came with this credential; those of others stay. */
export function closeReadersOf({ hub }: Session, ctx: DurableObjectState, credential: string): void {
  hub.breakOff(credential);
  for (const ws of ctx.getWebSockets(VIEWER_TAG)) {
    const viewer = ws.deserializeAttachment() as ViewerSocket;
    if (viewer.credential === credential) closeSocket(ws, "forbidden", "this sign-in or token was revoked");
  }
}

/** The events of the session, or of `runId` alone. */
export function openStream({ hub, view }: Session, request: Request): Response {
  const url = new URL(request.url);
  const cursor = cursorOf(url);
  const runId = url.searchParams.get("runId") ?? undefined;
  // 204 is how an EventSource learns that coming back is of no use.
  if (runId && hub.hasAll(runId, cursor, view)) return new Response(null, { status: 204 });
  const stream = hub.stream(cursor, view, { runId, credential: credentialOf(request) });
  return new Response(stream, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
}

const credentialOf = (request: Request): string => request.headers.get("x-gantry-credential") ?? "";
const cursorOf = (url: URL): number => Number(url.searchParams.get("cursor") ?? 0) || 0;
