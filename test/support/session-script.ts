/** A session's pure core, driven command by command: what the object does, without a platform. */
import type { NewEvent, RunEvent, SessionEvent } from "#protocol/events.ts";
import type { FromHostData, ToHostData } from "#protocol/messages.ts";
import type { Rejection } from "#protocol/objects.ts";
import type { RunView } from "#protocol/run-view.ts";
import { applyEvent, emptyView, runById, type SessionView } from "#protocol/session-view.ts";
import type { SessionCommand } from "../../durable/session/commands.ts";
import { decide } from "../../durable/session/decide.ts";
import { type Effect, react } from "../../durable/session/react.ts";

export const SESSION_ID = "ses_aaaaaaaaaaaaaaaaaaaa";
export const HOST_ID = "hst_aaaaaaaaaaaaaaaaaaaa";
export const ADA = { id: "usr_ada", name: "Ada" };

export class SessionScript {
  view: SessionView = emptyView(SESSION_ID);
  now = 1_000;
  readonly log: SessionEvent[] = [];
  /** Effects since the last look. */
  effects: Effect[] = [];
  readonly deadlines = new Map<string, number>();
  #runs = 0;

  /** A session that exists. */
  static created(): SessionScript {
    const script = new SessionScript();
    script.do({ type: "create", title: "Test", provider: "scripted", vmMode: "docker" });
    script.effects = [];
    return script;
  }

  /** A session whose worker is active on HOST_ID and whose first run is in the given state. */
  static withRun(
    state: Exclude<RunView["state"], "finished">,
    options: { retryOn?: "host_lost"[] } = {},
  ): { script: SessionScript; runId: string } {
    const script = SessionScript.created();
    const runId = script.prompt("work", options);
    if (state === "queued") return { script, runId };
    script.lease();
    if (state === "assigned") return { script, runId };
    script.host({ type: "run.accepted", runId });
    if (state === "preparing") return { script, runId };
    script.host({ type: "worker.status", state: "active" });
    script.host({ type: "run.started", runId });
    if (state === "waiting") {
      script.runner(runId, permission(`req_${SESSION_ID.slice(4)}-0000000001`), {
        type: "run.status",
        data: { state: "waiting" },
      });
    }
    if (state === "cancelling") script.do({ type: "stop", runId });
    return { script, runId };
  }

  try(command: SessionCommand): { ok: true; events: NewEvent[] } | Rejection {
    const asked = { by: ADA, now: this.now, traceId: "trc_test" };
    const decision = decide(this.view, command, asked);
    if (!decision.ok) return decision;
    for (const event of decision.events) {
      const numbered = {
        v: 1,
        seq: this.view.cursor + 1,
        at: this.now,
        sessionId: SESSION_ID,
        traceId: "trc_test",
        ...event,
      } as SessionEvent;
      const after = applyEvent(this.view, numbered);
      const effects = react(this.view, numbered, after);
      for (const effect of effects) {
        if (effect.type === "set_deadline") this.deadlines.set(effect.name, effect.at);
        if (effect.type === "clear_deadline") this.deadlines.delete(effect.name);
      }
      this.effects.push(...effects);
      this.log.push(numbered);
      this.view = after;
    }
    return decision;
  }

  /** Like try, for commands that must not be refused. Answers the events. */
  do(command: SessionCommand): NewEvent[] {
    const decision = this.try(command);
    if (!decision.ok) throw new Error(`refused: ${decision.reason}`);
    return decision.events;
  }

  prompt(
    text: string,
    options: { retryOn?: "host_lost"[]; labels?: Record<string, string>; humanLoopTimeoutMs?: number | undefined } = {},
  ): string {
    const runId = `run_${SESSION_ID.slice(4)}-${String(++this.#runs).padStart(10, "0")}`;
    this.do({ type: "prompt", runId, messageId: `msg-${this.#runs}`, prompt: { text, ...options } });
    return runId;
  }

  lease(epoch = this.view.epoch + 1, hostId = HOST_ID): NewEvent[] {
    return this.do({ type: "lease_granted", hostId, epoch });
  }

  host(message: FromHostData, epoch = this.view.epoch): NewEvent[] {
    return this.do({ type: "host_message", epoch, message });
  }

  runner(runId: string, ...events: RunEvent[]): NewEvent[] {
    return this.host({ type: "run.events", runId, events });
  }

  finish(runId: string): NewEvent[] {
    return this.runner(runId, { type: "run.finished", data: { outcome: "succeeded" } });
  }

  deadline(name: string): NewEvent[] {
    this.deadlines.delete(name);
    return this.do({ type: "deadline", name });
  }

  run(runId: string): RunView {
    const run = runById(this.view, runId);
    if (!run) throw new Error(`no run ${runId}`);
    return run;
  }

  /** The messages for the host since the last look. */
  sentToHost(): ToHostData[] {
    const sent = this.effects.flatMap((effect) => (effect.type === "send_host" ? [effect.message] : []));
    this.effects = [];
    return sent;
  }

  took(type: Effect["type"]): Effect[] {
    return this.effects.filter((effect) => effect.type === type);
  }
}

export function permission(requestId: string): Extract<RunEvent, { type: "human_loop.requested" }> {
  return {
    type: "human_loop.requested",
    data: {
      requestId,
      kind: "permission",
      title: "Run a command",
      detail: { command: "make" },
      options: [],
      multiple: false,
    },
  };
}

export function question(requestId: string): Extract<RunEvent, { type: "human_loop.requested" }> {
  return {
    type: "human_loop.requested",
    data: {
      requestId,
      kind: "question",
      title: "Which colour?",
      detail: {},
      options: [
        { id: "red", label: "Red" },
        { id: "blue", label: "Blue" },
      ],
      multiple: false,
    },
  };
}
