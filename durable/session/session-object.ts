/** The session's Durable Object: a shell. It identifies who speaks and hands the words over; session.ts does the rest. */
import { DurableObject } from "cloudflare:workers";
import type { Actor, HumanLoopReply, SessionEvent } from "#protocol/events.ts";
import { newId } from "#protocol/ids.ts";
import type {
  CommandContext,
  CommitSnapshot,
  CreateSession,
  LeaseGrant,
  LeaseLoss,
  Rejection,
  Result,
  SessionRpc,
  StopInput,
  StoreAccess,
} from "#protocol/objects.ts";
import { reject } from "#protocol/objects.ts";
import type { SessionReconcile, SessionReconciled } from "#protocol/reconcile.ts";
import { runById, type SessionView } from "#protocol/session-view.ts";
import type { Transcript } from "#protocol/transcript.ts";
import type { PromptInput } from "#protocol/viewer.ts";
import type { ObjectsEnv } from "../shell/env.ts";
import { answerClose, type HostInboxNeeds, type HostSocketPhase, onHostFrame } from "../shell/host-handshake.ts";
import { guardSocket } from "../shell/socket-guard.ts";
import type { SessionCommand, SyncDecision } from "./commands.ts";
import { storeRefusal } from "./decide-sync.ts";
import { hostNeeds, openHost } from "./host-inbox.ts";
import { prompt as queuePrompt } from "./prompting.ts";
import { closeReadersOf, openStream, openViewer, type ViewerSocket } from "./reader-doors.ts";
import { reconcileSession } from "./reconcile.ts";
import { leaseRefusal, stopState } from "./run-steps.ts";
import { Session } from "./session.ts";
import { ViewerInbox } from "./viewer-inbox.ts";

type Attachment = ViewerSocket | HostSocketPhase;
const POOL = "default";

export class SessionObject extends DurableObject<ObjectsEnv> implements SessionRpc {
  readonly #session: Session;
  readonly #hostNeeds: HostInboxNeeds;
  readonly #viewers: ViewerInbox;

  constructor(ctx: DurableObjectState, env: ObjectsEnv) {
    super(ctx, env);
    this.#session = new Session(ctx, env);
    this.#hostNeeds = hostNeeds(this.#session, ctx, env);
    this.#viewers = new ViewerInbox(this.#session, env.DB);
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  /* ── people ── */

  async create(input: CreateSession, context: CommandContext): Promise<Result<{ view: SessionView }>> {
    const { sessionId, organizationId, ...asked } = input;
    if (!this.#session.exists) this.#session.begin({ sessionId, organizationId, pool: POOL });
    const created = this.#session.once(context, input, { type: "create", ...asked });
    return created.ok ? { ok: true, view: this.#session.view } : created;
  }

  async prompt(prompt: PromptInput, context: CommandContext): Promise<Result<{ runId: string; cursor: number }>> {
    return await queuePrompt(this.#session, this.env.DB, prompt, context);
  }

  async stop(input: StopInput, context: CommandContext): Promise<Result<{ state: "cancelling" | "finished" }>> {
    const stopped = this.#session.once(context, { stop: input }, { type: "stop", ...input });
    return stopped.ok ? { ok: true, state: stopState(this.#session.view, input.runId) } : stopped;
  }

  async reply(reply: HumanLoopReply, context: CommandContext): Promise<Result<object>> {
    return this.#session.once(context, { reply }, { type: "reply", reply });
  }

  async decideSync(input: SyncDecision, context: CommandContext): Promise<Result<object>> {
    return this.#session.once(context, input, { type: "decide_sync", ...input });
  }
  async rename(title: string, context: CommandContext): Promise<Result<object>> {
    return this.#session.once(context, { title }, { type: "rename", title });
  }

  async remove(context: CommandContext): Promise<Result<object>> {
    return this.#session.once(context, { remove: true }, { type: "remove" });
  }

  async view(shownTo?: Actor): Promise<Result<{ view: SessionView; cursor: number }>> {
    const view = this.#session.viewFor(shownTo);
    return this.#present() ?? { ok: true, view, cursor: view.cursor };
  }

  async transcript(runId?: string): Promise<Result<{ transcript: Transcript }>> {
    return this.#present() ?? { ok: true, transcript: this.#session.history.transcript(runId) };
  }

  async runEvents(runId: string, types?: readonly SessionEvent["type"][]): Promise<Result<{ events: SessionEvent[] }>> {
    if (!runById(this.#session.view, runId)) return reject("not_found", "This session has no such run.");
    return { ok: true, events: await this.#session.eventsOfRun(runId, types) };
  }

  /* ── fleet and store ── */

  async leaseGranted(input: LeaseGrant): Promise<Result<object>> {
    return this.#system({ type: "lease_granted", ...input });
  }

  async leaseLost({ hostId, ...loss }: LeaseLoss): Promise<Result<{ lost: boolean }>> {
    const told = this.#system({ type: "lease_lost", ...loss });
    return told.ok ? { ok: true, lost: leaseRefusal(this.#session.view, hostId, loss.epoch) !== undefined } : told;
  }

  async yieldWorker(input: { epoch: number }): Promise<Result<{ yielding: boolean }>> {
    const asked = this.#system({ type: "yield_worker", ...input });
    return asked.ok ? { ok: true, yielding: this.#session.view.worker.state === "stopping" } : asked;
  }

  async leaseWaiting(input: { runId: string; waitingFor: string }): Promise<Result<object>> {
    return this.#system({ type: "lease_waiting", ...input });
  }

  async filesRemoved(input: { hostId: string; epoch: number }): Promise<Result<object>> {
    return this.#system({ type: "files_removed", ...input });
  }

  async closeReaders(credential: string): Promise<Result<object>> {
    closeReadersOf(this.#session, this.ctx, credential);
    return { ok: true };
  }

  async reconcile(input: SessionReconcile): Promise<SessionReconciled> {
    return await reconcileSession(this.#session, this.env, input);
  }

  async mayAccessStore(access: StoreAccess): Promise<Result<object>> {
    return storeRefusal(this.#session.view, access) ?? { ok: true };
  }

  async commitSnapshot(commit: CommitSnapshot): Promise<Result<{ snapshotId: string }>> {
    const committed = this.#system({ type: "snapshot_committed", commit }, commit.traceId);
    return committed.ok ? { ok: true, snapshotId: commit.snapshotId } : committed;
  }

  /* ── sockets, streams, the alarm ── */

  override async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const missing = this.#present();
    if (missing) return Response.json(missing, { status: 404 });
    if (url.pathname === "/events") return openStream(this.#session, request);
    if (url.pathname === "/host") return await openHost(this.#session, this.ctx, this.#hostNeeds, request);
    const { 0: client, 1: server } = new WebSocketPair();
    await openViewer(this.#session, this.ctx, server, request);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(ws: WebSocket, raw: string | ArrayBuffer): Promise<void> {
    const attachment = ws.deserializeAttachment() as Attachment;
    await guardSocket(ws, "session", { sessionId: this.#session.view.id }, async () => {
      if (attachment.kind === "host") return await onHostFrame(ws, raw, attachment, this.#hostNeeds);
      await this.#viewers.take(ws, raw, attachment);
    });
  }

  override async webSocketClose(ws: WebSocket, code: number): Promise<void> {
    answerClose(ws, code);
    const attachment = ws.deserializeAttachment() as Attachment;
    if (attachment.kind === "host" && attachment.phase === "live")
      this.#session.hub.tell({ type: "host", connected: false });
  }

  override async alarm(): Promise<void> {
    await this.#session.chores.alarm(Date.now());
  }

  /* ── the path of a command ── */

  #system(command: SessionCommand, traceId = newId("trc")): Result<object> {
    const result = this.#session.handle(command, { by: { id: "system", name: "Gantry" }, now: Date.now(), traceId });
    return result.ok ? { ok: true } : result;
  }

  #present(): Rejection | undefined {
    if (!this.#session.exists) return reject("not_found", "This session does not exist.");
    return this.#session.view.deleted ? reject("gone", "This session was deleted.") : undefined;
  }
}
