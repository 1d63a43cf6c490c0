/**
 * What happens because of a command: a pure function of what is known. Answers events, or a rejection for whoever
 * asked. No clock, no platform, no randomness: ids and times come in with the command.
 */
import { capabilityRefusal } from "#protocol/capabilities.ts";
import type { NewEvent } from "#protocol/events.ts";
import { LIMITS } from "#protocol/limits.ts";
import { reject } from "#protocol/objects.ts";
import { activeRun, applyEvent, queuedRuns, runById, type SessionView } from "#protocol/session-view.ts";
import type { Asked, Decision, SessionCommand } from "./commands.ts";
import { decideDeadline } from "./decide-deadline.ts";
import { decideHostMessage } from "./decide-host-message.ts";
import { decideReconcile } from "./decide-reconcile.ts";
import { decideBranch, decideSync } from "./decide-sync.ts";
import { parkForOthers, unpark } from "./parking.ts";
import {
  begun,
  cancelRun,
  finishRun,
  holdsLease,
  leaseRefusal,
  loseHost,
  nextRun,
  stopIdleWorker,
} from "./run-steps.ts";
import { decideSeen } from "./seen.ts";

export function decide(view: SessionView, command: SessionCommand, asked: Asked): Decision {
  if (command.type !== "create") {
    if (view.cursor === 0) return reject("not_found", "This session does not exist.");
    if (view.deleted && isFromPeople(command)) return reject("gone", "This session was deleted.");
  }
  switch (command.type) {
    case "create": {
      if (view.cursor > 0) return happened();
      const { title, provider, vmMode, appId, fork } = command;
      const data = { title, provider, vmMode, createdBy: asked.by, appId };
      if (!fork) return happened({ type: "session.created", data });
      return happened(
        { type: "session.created", data: { ...data, forkedFrom: fork.forkedFrom } },
        { type: "workspace.synced", data: { ...fork.snapshot, bytesSent: 0 } },
      );
    }
    case "prompt":
      return decidePrompt(view, command, asked);
    case "stop":
      return decideStop(view, command);
    case "reply":
      return decideReply(view, command, asked);
    case "decide_sync":
      return decideSync(view, command, asked);
    case "saw":
      return happened(...decideSeen(view, command.cursor, asked.by, asked.now));
    case "rename":
      return happened({ type: "session.updated", data: { title: command.title } });
    case "remove": {
      const stop = decideStop(view, { type: "stop", clearQueue: true });
      const stopped = stop.ok ? stop.events : [];
      return happened(...stopped, { type: "session.deleted", data: { by: asked.by } });
    }
    case "lease_granted": {
      // The host's own connection may have brought the news already.
      if (command.epoch === view.epoch && holdsLease(view) && view.worker.hostId === command.hostId) return happened();
      if (command.epoch <= view.epoch)
        return reject("stale_epoch", `The session has already seen epoch ${view.epoch}.`);
      if (holdsLease(view)) return reject("already_leased", "The session's worker is leased to another host.");
      if (queuedRuns(view).length === 0 || activeRun(view))
        return reject("not_needed", "Nothing is waiting for a host any more.");
      const { hostId, epoch, labels } = command;
      const starting: NewEvent = { type: "worker.status", data: { state: "starting", hostId, epoch, labels } };
      return happened(starting, ...nextRun(view, command, epoch));
    }
    case "lease_lost": {
      if (command.epoch < view.epoch || (command.epoch === view.epoch && !holdsLease(view))) return happened();
      // Under a lease that was not heard of yet nothing can have begun.
      if (command.unlessBegun && command.epoch === view.epoch && begun(view)) return happened();
      return happened(...loseHost(view, command, asked.now));
    }
    case "files_removed": {
      const { hostId, epoch } = command;
      const { worker } = view;
      // Any other word than that of the host that has them is late: the session has gone on since.
      const theirs = worker.state === "stopped" && worker.hostId === hostId && epoch === view.epoch;
      return theirs && !view.deleted
        ? happened({ type: "worker.status", data: { state: "cold", hostId, epoch } })
        : happened();
    }
    case "yield_worker":
      if (command.epoch !== view.epoch) return happened();
      return happened(
        ...stopIdleWorker(view, "another session waits for the slot"),
        ...parkForOthers(view, activeRun(view), asked.now),
      );
    case "lease_waiting": {
      const run = runById(view, command.runId);
      if (run?.state !== "queued" || run.detail === command.waitingFor) return happened();
      return happened({ type: "run.status", runId: run.id, data: { state: "queued", detail: command.waitingFor } });
    }
    case "host_message":
      if (command.epoch !== view.epoch) return reject("stale_epoch", `The current epoch is ${view.epoch}.`);
      return happened(...decideHostMessage(view, command.message, asked));
    case "snapshot_committed": {
      if (command.commit.branch) return decideBranch(view, command.commit);
      const { hostId, epoch, snapshotId, files, bytes, bytesSent, durationMs } = command.commit;
      const refusal = leaseRefusal(view, hostId, epoch);
      if (refusal) return refusal;
      if (view.workspace.snapshotId === snapshotId && !view.workspace.failure) return happened();
      return happened({ type: "workspace.synced", data: { snapshotId, files, bytes, bytesSent, durationMs } });
    }
    case "deadline":
      return happened(...decideDeadline(view, command.name));
    case "reconcile":
      return happened(...decideReconcile(view, asked.now));
    default:
      return command satisfies never;
  }
}

const happened = (...events: NewEvent[]): Decision => ({ ok: true, events });

const isFromPeople = (command: SessionCommand): boolean =>
  command.type === "prompt" ||
  command.type === "stop" ||
  command.type === "reply" ||
  command.type === "decide_sync" ||
  command.type === "rename" ||
  command.type === "remove";

function decidePrompt(view: SessionView, command: Extract<SessionCommand, { type: "prompt" }>, asked: Asked): Decision {
  const queued = queuedRuns(view).length;
  if (queued >= LIMITS.queuedRunsPerSession) {
    return reject(
      "queue_full",
      `This session already has ${queued} prompts waiting. Remove one or wait for the next to start.`,
    );
  }
  const { runId, messageId } = command;
  const { requires, ...prompt } = command.prompt;
  const provider = prompt.provider ?? view.provider;
  const refusal = capabilityRefusal({ ...prompt, provider, requires });
  if (refusal) return refusal;
  const prompted: NewEvent = {
    type: "session.prompted",
    runId,
    data: { ...prompt, messageId, provider, author: asked.by },
  };
  if (activeRun(view) || queued > 0 || !workerTakesRuns(view)) return happened(prompted);
  const after = applyEvent(view, {
    ...prompted,
    v: 1,
    seq: view.cursor + 1,
    at: asked.now,
    sessionId: view.id,
    traceId: asked.traceId,
  });
  return happened(prompted, ...nextRun(after, view.worker));
}

function workerTakesRuns(
  view: SessionView,
): view is SessionView & { worker: { hostId: string; labels?: Record<string, string> } } {
  return view.worker.state === "starting" || view.worker.state === "active";
}

function decideStop(view: SessionView, command: Extract<SessionCommand, { type: "stop" }>): Decision {
  const run = command.runId ? runById(view, command.runId) : activeRun(view);
  if (command.runId && !run) return reject("not_found", "This session has no such run.");
  const events: NewEvent[] = [];
  if (command.clearQueue)
    for (const waiting of queuedRuns(view))
      if (waiting !== run) events.push(finishRun(waiting, { outcome: "cancelled" }));
  if (run && run.state !== "finished") events.push(...cancelRun(view, run, command.reason));
  return happened(...events);
}

function decideReply(view: SessionView, command: Extract<SessionCommand, { type: "reply" }>, asked: Asked): Decision {
  const { requestId, decision, scope, answers, reason } = command.reply;
  const request = view.pending.find((pending) => pending.requestId === requestId);
  if (!request) {
    const earlier = view.resolved.find((resolved) => resolved.requestId === requestId);
    if (!earlier) return reject("not_found", "There is no such request in this session.");
    const who = earlier.by?.name || "the system";
    return reject("already_answered", `Already answered by ${who}.`, {
      decision: earlier.decision,
      by: earlier.by,
      at: earlier.at,
    });
  }
  const fits = request.kind === "permission" ? decision !== "answer" : decision !== "allow";
  if (!fits) return reject("wrong_decision", `A ${request.kind} cannot be answered with "${decision}".`);
  if (decision === "answer" && !answers?.length)
    return reject("answer_missing", "A question needs at least one answer.");
  const data = { requestId, decision, scope, answers, reason, by: asked.by };
  return happened(
    { type: "human_loop.resolved", runId: request.runId, data },
    ...unpark(view, runById(view, request.runId), requestId),
  );
}
