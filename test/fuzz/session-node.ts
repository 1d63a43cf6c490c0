/** A session in the simulation: the real Session behind a few lines that say what its object's shell says. */
import type { Actor, HumanLoopReply } from "#protocol/events.ts";
import type {
  CommandContext,
  CommitSnapshot,
  CreateSession,
  Result,
  SessionRpc,
  StopInput,
} from "#protocol/objects.ts";
import type { PromptInput } from "#protocol/viewer.ts";
import type { SessionCommand } from "../../durable/session/commands.ts";
import { admitHost, hostNeeds } from "../../durable/session/host-inbox.ts";
import { leaseRefusal } from "../../durable/session/run-steps.ts";
import { HOST_TAG, Session, VIEWER_TAG } from "../../durable/session/session.ts";
import type { ObjectsEnv } from "../../durable/shell/env.ts";
import {
  answerClose,
  type HostInboxNeeds,
  type HostSocketPhase,
  onHostFrame,
} from "../../durable/shell/host-handshake.ts";
import { guardSocket } from "../../durable/shell/socket-guard.ts";
import type { Life } from "./disk.ts";
import { ObjectNode } from "./object-node.ts";
import { ORGANIZATION_ID } from "./organization.ts";
import type { ServerSocket, Wire, WireClient } from "./wire.ts";
import type { World } from "./world.ts";

type Instance = { session: Session; needs: HostInboxNeeds };
type Called = Pick<SessionRpc, "leaseGranted" | "leaseLost" | "yieldWorker" | "leaseWaiting">;

export class SessionNode extends ObjectNode<Instance> {
  readonly sessionId: string;
  #runs = 0;

  constructor(world: World, sessionId: string) {
    super(world, sessionId);
    this.sessionId = sessionId;
  }

  protected override build(storage: DurableObjectStorage, life: Life): Instance {
    const ctx = this.context(storage, life);
    const env = this.world.environment(life);
    const session = new Session(ctx, env);
    return { session, needs: this.#needs(session, ctx, env) };
  }

  get view(): Session["view"] {
    return this.instance.session.view;
  }

  /* ── people ── */

  create(input: CreateSession, context: CommandContext): Promise<Result<object>> {
    return this.#by(undefined, "create", ({ session }) => {
      if (!session.exists)
        session.begin({ sessionId: this.sessionId, organizationId: ORGANIZATION_ID, pool: "default" });
      const { title, provider, vmMode } = input;
      return session.once(context, input, { type: "create", title, provider, vmMode });
    });
  }

  prompt(prompt: PromptInput, context: CommandContext): Promise<Result<{ runId: string }>> {
    return this.#by(undefined, "prompt", ({ session }) => {
      const runId = `run_${this.sessionId.slice(4)}-${String(++this.#runs).padStart(10, "0")}`;
      const command: SessionCommand = { type: "prompt", runId, messageId: context.commandId, prompt };
      return session.once(context, { prompt }, command, () => ({ runId }));
    });
  }

  stop(input: StopInput, context: CommandContext): Promise<Result<object>> {
    return this.#by(undefined, "stop", ({ session }) =>
      session.once(context, { stop: input }, { type: "stop", ...input }),
    );
  }

  reply(reply: HumanLoopReply, context: CommandContext): Promise<Result<object>> {
    return this.#by(undefined, "reply", ({ session }) => session.once(context, { reply }, { type: "reply", reply }));
  }

  rename(title: string, context: CommandContext): Promise<Result<object>> {
    return this.#by(undefined, "rename", ({ session }) => session.once(context, { title }, { type: "rename", title }));
  }

  remove(context: CommandContext): Promise<Result<object>> {
    return this.#by(undefined, "remove", ({ session }) => session.once(context, { remove: true }, { type: "remove" }));
  }

  /* ── the fleet and the store ── */

  /** This session as the fleet calls it. */
  stub(from: Life): Called {
    const system = (label: string, command: SessionCommand) =>
      this.#by(from, label, ({ session }) => this.#system(session, command));
    return {
      leaseGranted: (input) => system("leaseGranted", { type: "lease_granted", ...input }),
      leaseLost: ({ hostId, ...loss }) =>
        this.#by(from, "leaseLost", ({ session }) => {
          const told = this.#system(session, { type: "lease_lost", ...loss });
          return told.ok
            ? { ok: true as const, lost: leaseRefusal(session.view, hostId, loss.epoch) !== undefined }
            : told;
        }),
      leaseWaiting: (input) => system("leaseWaiting", { type: "lease_waiting", ...input }),
      yieldWorker: (input) =>
        this.#by(from, "yieldWorker", ({ session }) => {
          const asked = this.#system(session, { type: "yield_worker", ...input });
          return asked.ok ? { ok: true as const, yielding: session.view.worker.state === "stopping" } : asked;
        }),
    };
  }

  commitSnapshot(from: Life, commit: CommitSnapshot): Promise<Result<object>> {
    return this.#by(from, "commitSnapshot", ({ session }) => {
      const committed = this.#system(session, { type: "snapshot_committed", commit });
      if (committed.ok) this.world.ledger.committed(session.view, commit);
      return committed;
    });
  }

  /* ── sockets and the alarm ── */

  dialHost(client: WireClient): Wire {
    return this.dial(client, ({ session }, socket) => {
      socket.tags = [HOST_TAG];
      socket.serializeAttachment({ kind: "host", phase: "new", since: Date.now() } satisfies HostSocketPhase);
      session.expectAuth(Date.now() + 10_000);
    });
  }

  dialPage(client: WireClient, cursor: number): Wire {
    return this.dial(client, ({ session }, socket) => {
      socket.tags = [VIEWER_TAG];
      socket.serializeAttachment({ kind: "viewer", actor: { id: "usr_page", name: "Page" } });
      session.hub.join(asPlatform(socket), cursor, session.view, session.hostSockets("live").length > 0);
    });
  }

  protected override frame({ session, needs }: Instance, socket: ServerSocket, text: string): Promise<void> {
    const attachment = socket.deserializeAttachment() as HostSocketPhase | { kind: "viewer"; actor: Actor };
    return guardSocket(asPlatform(socket), "session", {}, async () => {
      if (attachment.kind === "host") return await onHostFrame(asPlatform(socket), text, attachment, needs);
      session.hub.acknowledged(asPlatform(socket), (JSON.parse(text) as { cursor: number }).cursor);
    });
  }

  protected override async socketClosed(_instance: Instance, socket: ServerSocket, code: number): Promise<void> {
    answerClose(asPlatform(socket), code);
  }

  protected override async ring({ session }: Instance): Promise<void> {
    await session.chores.alarm(Date.now());
  }

  #needs(session: Session, ctx: DurableObjectState, env: ObjectsEnv): HostInboxNeeds {
    // The token is the host's id here: signatures have their own tests.
    return {
      ...hostNeeds(session, ctx, env),
      admit: (auth) => {
        const claims = { hostId: auth.token, organizationId: ORGANIZATION_ID, pool: "default" };
        return admitHost(session, env, claims, auth.epoch ?? 0);
      },
    };
  }

  #system(session: Session, command: SessionCommand): Result<object> {
    const by = { id: "system", name: "Gantry" };
    return session.handle(command, { by, now: Date.now(), traceId: "trc_system" });
  }

  #by<T>(from: Life | undefined, label: string, work: (instance: Instance) => T): Promise<T> {
    return this.call(from, label, async (instance) => work(instance));
  }
}

export const asPlatform = (socket: ServerSocket): WebSocket => socket as unknown as WebSocket;
