/**
 * A control plane for the portal, played by the test: HTTP and WebSocket on loopback, in the shapes of #protocol. It keeps
 * what it must to be believable (an event log per session, receipts by command id) and decides nothing by itself; what
 * happens in a session is said by the test. Every request is kept, and so is every command.
 */
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import { type WebSocket, WebSocketServer } from "ws";
import type { DiffAnswer, SnapshotRecord } from "#protocol/changes.ts";
import { humanLoopReplySchema, type NewEvent, type SessionEvent } from "#protocol/events.ts";
import type { FileEntry, HostRecord, RunQueueReport, WaitingRequest } from "#protocol/http.ts";
import { activeRun, applyEvent, emptyView, type SessionView } from "#protocol/session-view.ts";
import { summarize } from "#protocol/summary.ts";
import { applyToTranscript, emptyTranscript } from "#protocol/transcript.ts";
import { type Answer, type FromViewer, fromViewer, type ToViewer } from "#protocol/viewer.ts";

/** The strictest policy that the portal promises to live with. */
export const CONTENT_SECURITY_POLICY =
  "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};
const ME = { id: "usr_00000000000000000001", name: "Ada" };

export class ScriptedSession {
  readonly id: string;
  readonly events: SessionEvent[] = [];
  readonly sockets = new Set<WebSocket>();
  readonly files = new Map<string, string | Buffer>();
  /** Files of snapshots that differ from `files`, by the snapshot's id. */
  readonly filesAt = new Map<string, Map<string, string | Buffer>>();
  /** Newest first. */
  readonly snapshots: SnapshotRecord[] = [];
  /** What changed, whichever two snapshots are asked for; `alone`: one file was asked for by name. */
  changes: (from: string, to: string, alone?: string) => DiffAnswer["changes"] = () => [];
  view: SessionView;
  hostConnected = true;
  /** When a first visitor gets a snapshot instead of the tail. */
  snapshotFirst = false;
  /** What the session does with a prompt that it has taken in. */
  onPrompt: (runId: string, text: string) => void = () => undefined;
  readonly #receipts = new Map<string, Answer>();
  #runs = 0;

  constructor(id: string) {
    this.id = id;
    this.view = emptyView(id);
  }

  /** Appends to the log and tells every page. `at` in milliseconds since 1970. */
  say(events: readonly NewEvent[], at = Date.now()): void {
    const numbered = events.map((event, index): SessionEvent => {
      const seq = this.view.cursor + 1 + index;
      return { v: 1, seq, at, sessionId: this.id, traceId: "trc_test", ...event } as SessionEvent;
    });
    for (const event of numbered) this.view = applyEvent(this.view, event);
    this.events.push(...numbered);
    for (const socket of this.sockets) send(socket, { type: "events", events: numbered });
  }

  /** Saves a snapshot, as a run's work or as nobody's. Answers its id. */
  save(runId?: string, at = Date.now()): string {
    const snapshotId = String(this.snapshots.length + 1).padStart(64, "0");
    this.say([{ type: "workspace.synced", data: { snapshotId, files: 1, bytes: 1, bytesSent: 1 } }], at);
    this.snapshots.unshift({
      id: snapshotId,
      seq: this.view.cursor,
      createdAt: at,
      files: 1,
      bytes: 1,
      ...(runId && { runId }),
    });
    return snapshotId;
  }

  newRunId(): string {
    return `run_${this.id.slice(4)}-${String(++this.#runs).padStart(10, "0")}`;
  }

  join(socket: WebSocket, cursor: number): void {
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    if (cursor > this.view.cursor || (cursor === 0 && this.snapshotFirst)) {
      const transcript = this.events.reduce(applyToTranscript, emptyTranscript);
      const reason = cursor > this.view.cursor ? "cursor_ahead" : "first_visit";
      send(socket, { type: "snapshot", view: this.view, transcript, cursor: this.view.cursor, reason });
    } else {
      const tail = this.events.filter((event) => event.seq > cursor);
      if (tail.length > 0) send(socket, { type: "events", events: tail });
    }
    send(socket, { type: "live", cursor: this.view.cursor, hostConnected: this.hostConnected });
  }

  /** The same id again gets the first answer. */
  command(message: Exclude<FromViewer, { type: "ack" }>): Answer {
    const known = this.#receipts.get(message.id);
    if (known) return known;
    const answer = this.#carryOut(message);
    this.#receipts.set(message.id, answer);
    return answer;
  }

  #carryOut(message: Exclude<FromViewer, { type: "ack" }>): Answer {
    const { id } = message;
    switch (message.type) {
      case "prompt": {
        const runId = this.newRunId();
        const { text, model, provider = this.view.provider } = message.prompt;
        this.say([{ type: "session.prompted", runId, data: { messageId: id, text, provider, model, author: ME } }]);
        this.onPrompt(runId, text);
        return { type: "answer", id, ok: true, runId };
      }
      case "stop": {
        const active = activeRun(this.view)?.id;
        const queued = this.view.runs.filter((run) => run.state === "queued").map((run) => run.id);
        const stopped = [message.runId ?? active, ...(message.clearQueue ? queued : [])].filter(
          (run) => run !== undefined,
        );
        for (const runId of stopped) this.say([finished(runId, "cancelled")]);
        return { type: "answer", id, ok: true };
      }
      case "reply": {
        const { requestId, decision, scope, answers, reason } = message.reply;
        const pending = this.view.pending.find((request) => request.requestId === requestId);
        if (!pending)
          return { type: "answer", id, ok: false, reason: "already_answered", message: "Already answered by Grace" };
        const data = { requestId, decision, scope, answers, reason, by: ME };
        this.say([{ type: "human_loop.resolved", runId: pending.runId, data }]);
        return { type: "answer", id, ok: true };
      }
      case "rename":
        this.say([{ type: "session.updated", data: { title: message.title } }]);
        return { type: "answer", id, ok: true };
      default:
        return message satisfies never;
    }
  }
}

export function finished(runId: string, outcome: "succeeded" | "cancelled"): NewEvent {
  return {
    type: "run.finished",
    runId,
    data: { outcome, ...(outcome === "cancelled" ? { reason: "cancelled" } : {}) },
  };
}

export class ScriptedPortal {
  readonly sessions = new Map<string, ScriptedSession>();
  readonly commands: Exclude<FromViewer, { type: "ack" }>[] = [];
  readonly acknowledged: number[] = [];
  readonly requests: string[] = [];
  readonly forks: { sessionId: string; snapshotId: string }[] = [];
  hosts: HostRecord[] = [];
  /** `undefined`: this server has no such route. */
  queue: RunQueueReport | undefined;
  signedIn = true;
  /** While true, every upgrade is cut off and answers are swallowed by nobody. */
  cutOff = false;
  /** Commands are taken in, their answers and events are not delivered before the socket is gone. */
  loseAnswers = false;
  readonly #server: Server;
  readonly #assets: string;
  #created = 0;

  constructor(assets: string) {
    this.#assets = assets;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
    });
    const sockets = new WebSocketServer({ noServer: true });
    this.#server.on("upgrade", (request, socket, head) => {
      const url = new URL(request.url ?? "/", "http://portal");
      const session = this.sessions.get(/^\/api\/sessions\/([^/]+)\/socket$/.exec(url.pathname)?.[1] ?? "");
      if (!session || this.cutOff || !this.signedIn) return void socket.destroy();
      sockets.handleUpgrade(request, socket, head, (ws) => {
        ws.on("message", (data) => this.#onFrame(session, ws, String(data)));
        session.join(ws, Number(url.searchParams.get("cursor") ?? 0));
      });
    });
  }

  get origin(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the server does not listen");
    return `http://127.0.0.1:${address.port}`;
  }

  async listen(port = 0): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
  }

  async close(): Promise<void> {
    this.dropSockets();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Ends every socket without a close frame, as a lost network does. */
  dropSockets(): void {
    for (const session of this.sessions.values()) for (const socket of session.sockets) socket.terminate();
  }

  session(title: string, change: Partial<{ provider: SessionView["provider"]; at: number }> = {}): ScriptedSession {
    const session = new ScriptedSession(`ses_${String(++this.#created).padStart(20, "0")}`);
    const { provider = "scripted", at = Date.now() } = change;
    session.say([{ type: "session.created", data: { title, provider, vmMode: "docker", createdBy: ME } }], at);
    this.sessions.set(session.id, session);
    return session;
  }

  #onFrame(session: ScriptedSession, socket: WebSocket, text: string): void {
    const message = fromViewer.parse(JSON.parse(text));
    if (message.type === "ack") return void this.acknowledged.push(message.cursor);
    this.commands.push(message);
    if (this.loseAnswers) {
      socket.terminate();
      session.sockets.delete(socket);
    }
    const answer = session.command(message);
    if (!this.loseAnswers) send(socket, answer);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.origin);
    this.requests.push(`${request.method} ${url.pathname}${url.search}`);
    if (!url.pathname.startsWith("/api/")) return this.#asset(url.pathname, response);
    const body = await readBody(request);
    const [, , kind = "", id = "", action = ""] = url.pathname.split("/");
    if (kind === "sign-in") return this.#signIn(String(body.token), response);
    if (!this.signedIn) return refuse(response, 401, "unauthenticated", "sign in first");
    switch (`${request.method} ${kind}`) {
      case "GET me":
        return json(response, 200, {
          kind: "person",
          ...ME,
          organizationId: "org_1",
          role: "owner",
          permissions: ["hosts.admin", "runs.operate"],
        });
      case "POST sign-out":
        this.signedIn = false;
        return json(response, 200, { ok: true });
      case "GET sessions":
        return this.#readSessions(id, url.searchParams.get("search") ?? "", response);
      case "POST sessions":
        if (action === "fork") {
          this.forks.push({ sessionId: id, snapshotId: String(body.snapshotId) });
          return json(response, 201, { session: summarize(this.session("Forked").view) });
        }
        return json(response, 201, { session: summarize(this.session(String(body.title), body).view) });
      case "PATCH sessions":
        this.sessions.get(id)?.say([{ type: "session.updated", data: { title: String(body.title) } }]);
        return json(response, 200, { ok: true });
      case "DELETE sessions":
        this.sessions.delete(id);
        return json(response, 200, { ok: true });
      case "GET human-loop":
        return json(response, 200, { requests: this.#pending() });
      case "POST human-loop":
        return this.#reply(body, response);
      case "GET files":
        return this.#readFiles(id, url.searchParams, response);
      case "POST snapshots":
      case "DELETE snapshots":
        return this.#pin(id, request.method === "POST", response);
      case "GET hosts":
        return json(response, 200, { hosts: this.hosts });
      case "POST hosts":
        if (id === "join-tokens")
          return json(response, 201, { joinToken: "gjt_test", expiresAt: Date.now() + 900_000, pool: "default" });
        this.hosts = this.hosts.map((host) =>
          host.id === id ? { ...host, status: action === "drain" ? "draining" : "online" } : host,
        );
        return json(response, 200, { ok: true });
      case "DELETE hosts":
        this.hosts = this.hosts.filter((host) => host.id !== id);
        return json(response, 200, { ok: true });
      case "GET runs":
        if (this.queue) return json(response, 200, this.queue);
        break;
      case "POST runs": {
        const letter = this.queue?.deadLetters.find(({ runId }) => url.pathname.includes(runId));
        if (!letter) break;
        letter.redrivenAs = `${letter.runId}-again`;
        return json(response, 202, { ...letter, state: "queued" });
      }
    }
    return refuse(response, 404, "not_found", "there is no such route");
  }

  #signIn(token: string, response: ServerResponse): void {
    if (token === "used") return refuse(response, 410, "sign_in_link_used", "this link has been used");
    if (token === "expired") return refuse(response, 410, "sign_in_link_expired", "this link has expired");
    if (token !== "good") return refuse(response, 401, "sign_in_link_unknown", "there is no such link");
    this.signedIn = true;
    return json(response, 200, { ok: true });
  }

  #readSessions(id: string, search: string, response: ServerResponse): void {
    const summaries = [...this.sessions.values()].map((session) => summarize(session.view));
    if (!id) {
      const found = summaries.filter((summary) => summary.title.toLowerCase().includes(search.toLowerCase()));
      return json(response, 200, { sessions: found.sort((a, b) => b.updatedAt - a.updatedAt) });
    }
    const session = this.sessions.get(id);
    if (!session) return refuse(response, 404, "session_not_found", "there is no such session");
    return json(response, 200, { session: summarize(session.view), view: session.view, cursor: session.view.cursor });
  }

  #pending(): WaitingRequest[] {
    return [...this.sessions.values()].flatMap(({ id: sessionId, view }) =>
      view.pending.map(({ requestId: id, ...rest }) => ({ ...rest, id, sessionId, sessionTitle: view.title })),
    );
  }

  #reply(body: Record<string, unknown>, response: ServerResponse): void {
    const reply = humanLoopReplySchema.parse(body);
    const session = [...this.sessions.values()].find((each) => reply.requestId.includes(each.id.slice(4)));
    const message = { type: "reply" as const, id: `http-${this.commands.length}`, reply };
    this.commands.push(message);
    const answer = session?.command(message);
    if (answer?.ok) return json(response, 200, { ok: true });
    refuse(response, 409, "already_answered", "Denied by Grace a moment ago.");
  }

  #pin(id: string, pinned: boolean, response: ServerResponse): void {
    const found = [...this.sessions.values()].flatMap(({ snapshots }) => snapshots).find((each) => each.id === id);
    if (!found) return refuse(response, 404, "snapshot_not_found", "There is no such snapshot.");
    if (pinned && found.prunedAt !== undefined) return refuse(response, 410, "gone", "It is no longer kept.");
    if (pinned) found.pinnedBy ??= ME.name;
    else delete found.pinnedBy;
    return json(response, 200, { snapshotId: id, pinned });
  }

  #readFiles(kind: string, query: URLSearchParams, response: ServerResponse): void {
    const session = this.sessions.get(query.get("sessionId") ?? "");
    if (kind === "snapshots") return json(response, 200, { snapshots: session?.snapshots ?? [] });
    if (kind === "diff" && session) return json(response, 200, diffOf(session, query));
    const snapshotId = query.get("snapshotId") ?? "";
    if (session?.snapshots.some(({ id, prunedAt }) => id === snapshotId && prunedAt !== undefined))
      return refuse(response, 410, "snapshot_pruned", "This snapshot is no longer kept.");
    const files = session?.filesAt.get(snapshotId) ?? session?.files ?? new Map<string, string | Buffer>();
    const path = query.get("path") ?? "";
    if (files.size === 0)
      return refuse(response, 404, "snapshot_not_found", "nothing of this session has been saved yet");
    if (kind === "tree") return json(response, 200, { snapshotId: "a".repeat(64), entries: entriesOf(files, path) });
    const file = files.get(path);
    const headers = {
      "content-type": "application/octet-stream",
      "content-disposition": "attachment",
      "x-content-type-options": "nosniff",
    };
    response.writeHead(200, headers).end(file ?? "zip");
  }

  async #asset(path: string, response: ServerResponse): Promise<void> {
    const name = extname(path) ? normalize(path) : "/index.html";
    const bytes = await readFile(join(this.#assets, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (!bytes) return void response.writeHead(404).end();
    const headers = {
      "content-type": TYPES[extname(name)] ?? "application/octet-stream",
      "content-security-policy": CONTENT_SECURITY_POLICY,
    };
    response.writeHead(200, headers).end(bytes);
  }
}

function diffOf(session: ScriptedSession, query: URLSearchParams): DiffAnswer {
  const [from, to] = [query.get("from") ?? "", query.get("to") || (session.snapshots[0]?.id ?? "")];
  const changes = session.changes(from, to, query.get("path") ?? undefined);
  const counts = { added: 0, removed: 0, modified: 0, renamed: 0, mode: 0 };
  for (const { change } of changes) counts[change]++;
  return { ...(from ? { from } : {}), to, changes, counts, truncated: false };
}

function entriesOf(files: ReadonlyMap<string, string | Buffer>, folder: string): FileEntry[] {
  const prefix = folder ? `${folder}/` : "";
  const entries = new Map<string, FileEntry>();
  for (const [path, content] of files) {
    if (!path.startsWith(prefix)) continue;
    const [name = "", ...deeper] = path.slice(prefix.length).split("/");
    const kind = deeper.length > 0 ? "directory" : "file";
    entries.set(name, { name, path: prefix + name, kind, size: kind === "file" ? content.length : 0, mode: 0o644 });
  }
  return [...entries.values()];
}

function send(socket: WebSocket, frame: ToViewer): void {
  if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(frame));
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text ? (JSON.parse(text) as Record<string, unknown>) : {};
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function refuse(response: ServerResponse, status: number, reason: string, message: string): void {
  json(response, status, { ok: false, reason, message });
}
