/** A run in its session's view, and what each event makes of it. Pure; session-view.ts has the fold that calls it. */
import type { Actor, GivenAnswer, HumanLoopRequest, RunFinishedData, SessionEvent, Usage } from "./events.ts";
import type { RuntimeManifest } from "./runtime-manifest.ts";
import type { Provider } from "./vocabulary.ts";

type RunBase = {
  id: string;
  provider: Provider;
  model?: string;
  providerOptions?: Record<string, unknown>;
  timeoutMs?: number;
  /** How long people may take to answer what it asks, once they were shown it. */
  humanLoopTimeoutMs?: number;
  retryOn?: "host_lost"[];
  /** What its workspace has to be; gone when it has finished, like the prompt. */
  manifest?: RuntimeManifest;
  priority?: number;
  labels?: Record<string, string>;
  redriveOf?: string;
  author: Actor;
  messageId: string;
  /** The seq of its session.prompted: everything about the run comes after. Views of before have none. */
  promptSeq?: number;
  traceId: string;
  attempt: number;
  queuedAt: number;
  startedAt?: number;
  usage?: Usage;
  /** What it could not do as it was meant to; stays when it has finished. */
  warnings?: string[];
  /** How often it was parked; each time its conversation goes on in a part of its own. */
  part?: number;
  /** What was answered while it was parked, for the part to come. */
  given?: GivenAnswer[];
};

/** A phase owns only its fields: a finished run has no prompt to send, a queued one has no host. */
export type RunView = RunBase &
  (
    | {
        state: "queued";
        prompt: string;
        detail?: string;
        /** After a failed attempt: when the next one is made, and the host that failed it. */
        nextAt?: number;
        failedHostId?: string;
      }
    | { state: "assigned" | "preparing"; prompt: string; hostId: string; detail?: string }
    | {
        state: "running" | "waiting" | "cancelling";
        prompt: string;
        hostId: string;
        startedAt: number;
        detail?: string;
        /** Waiting without a worker of its own. */
        parked?: boolean;
      }
    /** `finishedSeq`: the seq of its run.finished, after which there is nothing of it. Views of before have none. */
    | ({ state: "finished"; finishedAt: number; finishedSeq?: number } & Pick<
        RunFinishedData,
        "outcome" | "reason" | "evidence"
      >)
  );

type Of<T extends SessionEvent["type"]> = Extract<SessionEvent, { type: T }>;

const WARNINGS_KEPT = 5;

/** The run in the state that the event says. */
export function runWithStatus(run: RunView, event: Of<"run.status">): RunView {
  const { state, hostId, attempt, nextAt, failedHostId, parked, warning } = event.data;
  if (run.state === "finished") return run;
  if (warning && event.data.detail) run = { ...run, warnings: warningsWith(run, event.data.detail) };
  const detail = warning ? undefined : event.data.detail;
  const { nextAt: _then, failedHostId: _there, ...kept } = run as Extract<RunView, { state: "queued" }>;
  const { parked: was, ...known } = kept as typeof kept & { parked?: boolean };
  const base = { ...known, detail, attempt: attempt ?? run.attempt } as typeof run;
  if (state === "queued") {
    const {
      hostId: _gone,
      startedAt: _fresh,
      ...rest
    } = base as Extract<RunView, { state: "queued" }> & { hostId?: string };
    if (attempt !== undefined || was)
      return { ...rest, state, ...(nextAt ? { nextAt } : {}), ...(failedHostId ? { failedHostId } : {}) };
    return { ...run, detail, state } as RunView;
  }
  if (parked && "startedAt" in run && run.startedAt !== undefined) {
    const first = was ? {} : { given: [], part: (run.part ?? 0) + 1 };
    return { ...base, ...first, state: "waiting", startedAt: run.startedAt, parked } as RunView;
  }
  // The part that has the answers is under way.
  if (state === "running") delete base.given;
  const host = hostId ?? ("hostId" in run ? run.hostId : "");
  if (state === "assigned" || state === "preparing") return { ...base, state, hostId: host };
  return { ...base, state, hostId: host, startedAt: run.startedAt ?? event.at };
}

function warningsWith({ warnings = [] }: RunView, said: string): string[] {
  return [...warnings.filter((known) => known !== said), said].slice(-WARNINGS_KEPT);
}

/** The run as it ended; what only an unfinished one needs is gone. */
export function finishedRun(run: RunView, event: Of<"run.finished">): RunView {
  if (run.state === "finished") return run;
  const {
    prompt: _sent,
    manifest: _laid,
    detail: _old,
    hostId: _host,
    parked: _waited,
    given: _told,
    nextAt: _then,
    failedHostId: _there,
    ...rest
  } = run as typeof run & { hostId?: string; parked?: boolean; nextAt?: number; failedHostId?: string };
  const { outcome, reason, evidence, usage } = event.data;
  const end = { finishedAt: event.at, finishedSeq: event.seq };
  return { ...rest, state: "finished", ...end, outcome, reason, evidence, usage: usage ?? run.usage };
}

/** An answer to a run that is parked is kept with it, until its provider can be told. */
export function runWithAnswer(
  run: RunView,
  { data }: Of<"human_loop.resolved">,
  pending: readonly (HumanLoopRequest & { runId: string })[],
): RunView {
  if (!isParked(run)) return run;
  const request = pending.find(({ requestId }) => requestId === data.requestId);
  const { scope, answers, reason } = data;
  // Nobody answered in time: to the provider that is a refusal.
  const decision = data.decision === "expired" ? "deny" : data.decision;
  if (!request || decision === "cancelled") return run;
  const { kind, title, rule } = request;
  return {
    ...run,
    given: [...(run.given ?? []), { kind, title, rule, decision, scope: scope ?? "once", answers, reason }],
  };
}

/** True for a run that waits for a person and has let go of its worker. */
export function isParked(run: RunView | undefined): boolean {
  return run?.state === "waiting" && run.parked === true;
}
