/**
 * One run on this host, from its receipt to its end:
 *
 *   accepted ─worker ready─► announced ─session has it─► starting ─runner has it─► started ─events─► run.finished
 *       └────────────┴────────────┴────────────────────────┴──────────────────┴──► run.aborted (with what is left in the
 *                                                                                  spool before it)
 *
 * `announced`: `run.started` is said, and the session has not confirmed it. The runner is told only afterwards, so that no
 * other host is given a run that may have worked here (PROTOCOL [P-34]). `starting` is on disk before the runner is told,
 * so that after a crash nobody takes a run for new that may have worked.
 */
import type { RunEvent } from "#protocol/events.ts";
import type { FromHostData } from "#protocol/messages.ts";
import { backOffMs, type Clock, pause } from "../clock.ts";
import type { WorkerExit } from "../container/port.ts";
import type { DiskRoom } from "../disk-room.ts";
import type { Logger } from "../logs.ts";
import { intoFrames, mergeDeltas } from "./batch.ts";
import { Deliveries } from "./deliveries.ts";
import { exitEvidence, preparationFailure, RunFailed } from "./failure.ts";
import { followRun } from "./follow-run.ts";
import type { Records, RunRecord } from "./records.ts";
import { nobodyListened, RunnerRefused, startProviderRun } from "./runner-client.ts";
import type { LiveWorker, WantedWorkspace } from "./session-worker.ts";
import { spoolTail } from "./spool-tail.ts";

export type DriveNeeds = {
  clock: Clock;
  chance: () => number;
  logger: Logger;
  records: Records;
  transaction<T>(work: () => T): T;
  say(message: FromHostData): void;
  room(): Promise<void>;
  disk: Pick<DiskRoom, "obstacle" | "room" | "watch">;
  /** Resolves when the session has stored everything that was said. @throws when the lease ends first */
  heard(): Promise<void>;
  worker: {
    live(): LiveWorker | undefined;
    ensure(run: WantedWorkspace): Promise<LiveWorker>;
    remove(graceMs: number): Promise<void>;
  };
  /** Why this host has ended the worker under the run, when it was the host. */
  verdict(): RunFailed | undefined;
  /** The workspace as the runner sees it. */
  cwd: string;
  runDir: string;
  /** A message was completed, or the run has ended: worth a sync. */
  worthSaving(): void;
  /** The run's record was changed from outside (stop, answers). Calls back until the run ends. */
  onNews(listener: () => void): void;
  /** The lease is lost or the daemon closes: leave everything as it is. */
  signal: AbortSignal;
};

const RETRY = { baseMs: 100, maxMs: 2_000 } as const;
const START_ATTEMPTS = 20;
/** Workers that may go away under a run before their runner was told of it. */
const MAX_WORKERS = 3;

/** The worker has gone, and nobody ever listened there: the run has not begun, another worker may have it. */
class NeverTold extends Error {}

/** Resolves when the run has ended and that is in the outbox. @throws the signal's reason when it fires */
export async function driveRun(record: RunRecord, needs: DriveNeeds): Promise<void> {
  const { runId } = record.run;
  try {
    await carryOutOnSome(record, needs);
  } catch (error) {
    needs.signal.throwIfAborted();
    const stopped = needs.records.run(runId)?.stopReason !== undefined;
    const failure = error instanceof RunFailed ? error : preparationFailure(error);
    const known = needs.records.run(runId) ?? record;
    // Nothing of a run that was given up goes on in the dark; its spool is complete when the worker is gone.
    const told = mayHaveBegun(known.phase);
    if (told) await needs.worker.remove(0);
    const tail = told ? await spoolTail(needs.runDir, nameAtRunner(record.run), known.lastN) : [];
    needs.signal.throwIfAborted();
    needs.logger.warn({ err: error, tail: tail.length }, "the run did not end by itself");
    const events = tail.map(({ event }) => event);
    const end = events.findIndex((event) => event.type === "run.finished");
    const reason = stopped ? "cancelled" : failure.reason;
    needs.transaction(() => {
      sendEvents(needs, runId, end < 0 ? events : events.slice(0, end + 1));
      if (end < 0) needs.say({ type: "run.aborted", runId, reason, evidence: failure.message });
      needs.records.endRun(runId);
    });
  }
  needs.worthSaving();
}

async function carryOutOnSome(record: RunRecord, needs: DriveNeeds): Promise<void> {
  for (let workers = 1; ; workers++) {
    try {
      return await carryOut(needs.records.run(record.run.runId) ?? record, needs);
    } catch (error) {
      if (!(error instanceof NeverTold) || workers >= MAX_WORKERS || needs.signal.aborted) throw error;
      needs.logger.warn({ err: error }, "the worker had gone before its runner was told of the run: another one");
    }
  }
}

async function carryOut({ run, phase }: RunRecord, needs: DriveNeeds): Promise<void> {
  const { runId } = run;
  const changed = new AbortController();
  let deliveries: Deliveries | undefined;
  needs.onNews(() => {
    if (needs.records.run(runId)?.stopReason !== undefined) changed.abort();
    deliveries?.kick();
  });
  if (mayHaveBegun(phase) && !needs.worker.live()) {
    throw new RunFailed("container_failed", "The worker was gone when the host came back; the run may have done work.");
  }
  if (needs.records.run(runId)?.stopReason !== undefined) changed.abort();
  const unwanted = AbortSignal.any([changed.signal, needs.signal]);
  // A run that has begun has what it needed; what it removed meanwhile is its own affair.
  const manifest = mayHaveBegun(phase) ? undefined : run.manifest;
  if (!mayHaveBegun(phase)) await unlessStopped(() => needs.disk.room(unwanted), unwanted);
  const live = await unlessStopped(
    () =>
      needs.worker.ensure({
        runId: nameAtRunner(run),
        provider: run.provider,
        snapshotId: run.snapshotId,
        manifest,
      }),
    unwanted,
  );
  needs.signal.throwIfAborted();

  const ended = new AbortController();
  const signal = AbortSignal.any([live.gone, needs.signal]);
  const unwatch = needs.disk.watch(() => tellRoom(runId, needs));
  deliveries = new Deliveries({
    clock: needs.clock,
    chance: needs.chance,
    logger: needs.logger,
    socketPath: live.worker.socketPath,
    runId: nameAtRunner(run),
    stopWanted: () => needs.records.run(runId)?.stopReason !== undefined,
    replies: () => needs.records.replies(runId),
    endReply: (id) => needs.records.endReply(id),
    overdue: () => {
      needs.logger.warn("the run did not stop in time, ending its worker");
      void needs.worker
        .remove(0)
        .catch((error: unknown) => needs.logger.error({ err: error }, "could not end the worker"));
    },
    signal: AbortSignal.any([signal, ended.signal]),
  });
  try {
    if (!mayHaveBegun(phase)) {
      if (phase === "accepted") announce(runId, needs);
      await unlessStopped(() => needs.heard(), unwanted);
    }
    signal.throwIfAborted();
    needs.logger.info({ phase: "run" }, "the workspace and its worker are ready");
    if (phase !== "started") await start(run, needs, live, signal);
    deliveries.kick();
    await followRun({
      ...needs,
      socketPath: live.worker.socketPath,
      runId: nameAtRunner(run),
      cursor: () => needs.records.run(runId)?.lastN ?? 0,
      store: (frames, lastN) => store(needs, runId, frames, lastN),
      signal,
    });
  } catch (error) {
    if (!live.gone.aborted) throw error;
    const evidence = exitEvidence(live.gone.reason as WorkerExit);
    const now = needs.records.run(runId);
    if (now && !mayHaveBegun(now.phase)) throw new NeverTold(evidence);
    throw needs.verdict() ?? new RunFailed("container_failed", evidence);
  } finally {
    unwatch();
    ended.abort();
  }
}

async function start(run: RunRecord["run"], needs: DriveNeeds, live: LiveWorker, signal: AbortSignal): Promise<void> {
  const { runId, sessionId, provider, model, prompt, providerOptions, conversationId, timeoutMs, given, traceId } = run;
  needs.records.setRunPhase(runId, "starting");
  const order = { sessionId, provider, model, prompt, providerOptions, conversationId, timeoutMs, given, traceId };
  const body = { runId: nameAtRunner(run), ...order };
  let told = false;
  const takeBack = () => {
    if (!told && live.gone.aborted) needs.records.setRunPhase(runId, "announced");
  };
  for (let attempt = 0; ; attempt++) {
    try {
      await startProviderRun(live.worker.socketPath, { ...body, cwd: needs.cwd }, signal);
      break;
    } catch (error) {
      told ||= !nobodyListened(error);
      takeBack();
      signal.throwIfAborted();
      if (error instanceof RunnerRefused && error.status < 500) {
        throw new RunFailed("internal", `The runner refused the run: ${error.status} ${error.message}`);
      }
      if (attempt >= START_ATTEMPTS)
        throw new RunFailed("container_failed", `The runner does not answer: ${String(error)}`);
      needs.logger.warn({ err: error }, "the runner did not take the run");
      await pause(needs.clock, backOffMs(RETRY, attempt, needs.chance()), signal);
      takeBack();
      signal.throwIfAborted();
    }
  }
  needs.records.setRunPhase(runId, "started");
}

function announce(runId: string, needs: DriveNeeds): void {
  needs.transaction(() => {
    needs.records.setRunPhase(runId, "announced");
    needs.say({ type: "run.started", runId });
  });
}

/** Why a run stands still, and that it does not any more, where people read along. */
function tellRoom(runId: string, { disk, say, records }: DriveNeeds): void {
  if (records.run(runId)?.phase !== "started") return;
  const detail = disk.obstacle ? `${disk.obstacle.reason} The run is held back.` : "The host's disk has room again.";
  say({
    type: "run.events",
    runId,
    events: [{ type: "run.status", data: { state: "running", detail, warning: true } }],
  });
}

/** A part that goes on after parking is a run of its own to the runner, which may still know the one before. */
const nameAtRunner = ({ runId, part }: RunRecord["run"]): string => (part === undefined ? runId : `${runId}-p${part}`);

/** Whether the runner may have been told of the run. */
const mayHaveBegun = (phase: RunRecord["phase"]): boolean => phase === "starting" || phase === "started";

function store(needs: DriveNeeds, runId: string, frames: RunEvent[][], lastN: number): void {
  // After the lease there is nobody to tell, and no place to keep it.
  if (needs.signal.aborted) return;
  let worthSaving = false;
  needs.transaction(() => {
    for (const events of frames) needs.say({ type: "run.events", runId, events });
    needs.records.setRunCursor(runId, lastN);
    for (const event of frames.flat()) {
      if (event.type === "message.stop") worthSaving = true;
      if (event.type === "run.finished") needs.records.endRun(runId);
    }
  });
  if (worthSaving) needs.worthSaving();
}

function sendEvents(needs: DriveNeeds, runId: string, events: readonly RunEvent[]): void {
  for (const frame of intoFrames(mergeDeltas(events))) needs.say({ type: "run.events", runId, events: frame });
}

/** A stop before the start does not wait for the preparation, which goes on and is there for the next run. */
async function unlessStopped<T>(work: () => Promise<T>, stopped: AbortSignal): Promise<T> {
  const cancelled = () => new RunFailed("cancelled", "The run was stopped before it had started.");
  if (stopped.aborted) throw cancelled();
  const working = work();
  // The race may be over when it fails.
  working.catch(() => undefined);
  return await new Promise<T>((resolve, reject) => {
    stopped.addEventListener("abort", () => reject(cancelled()), { once: true });
    working.then(resolve, reject);
  });
}
