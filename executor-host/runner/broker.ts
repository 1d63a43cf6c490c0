/**
 * The approvals broker: the one place through which every provider asks people.
 *
 *   ask ──► granted for the session? ──► allow, nobody is asked
 *     └───► run.status waiting, human_loop.requested ──► reply ──► run.status running (when nothing else is pending)
 *                                                   └──► closeAll ──► human_loop.resolved cancelled | expired
 *
 * A person's reply is recorded by the session, which sent it; so `human_loop.resolved` is emitted here only when the
 * runner itself ended the wait. Every request is resolved exactly once.
 */
import type { GivenAnswer, HumanLoopReply, HumanLoopRequest, RunEvent } from "#protocol/events.ts";
import { newRequestId } from "#protocol/ids.ts";
import { cutText, cutValue } from "./bounds.ts";
import type { Grants } from "./grants.ts";
import { redact } from "./redact.ts";

/** What is asked, as an adapter says it; the broker adds the id. */
export type Question = Omit<HumanLoopRequest, "requestId" | "detail" | "options" | "multiple"> &
  Partial<Pick<HumanLoopRequest, "detail" | "options" | "multiple">>;

/** How it ended: a person's decision, or the run's end. */
export type Resolution =
  | { decision: "allow"; by: "person" | "grant" }
  | { decision: "deny"; reason?: string }
  | { decision: "answer"; answers: string[] }
  | { decision: "cancelled" | "expired" };

export type ReplyOutcome = { ok: true } | { ok: false; status: 404 | 409 | 422; reason: string; message: string };

const TITLE_CHARS = 1_000;
const RULE_CHARS = 2_000;
const DETAIL_BYTES = 64 * 1024;

type Pending = { request: HumanLoopRequest; resolve: (resolution: Resolution) => void };

export class Broker {
  readonly #sessionId: string;
  readonly #grants: Grants;
  readonly #emit: (event: RunEvent) => void;
  readonly #waitingChanged: (waiting: boolean) => void;
  readonly #pending = new Map<string, Pending>();
  readonly #answered = new Set<string>();
  /** Answers from before this runner's time, each good for one question. */
  readonly #given: GivenAnswer[];
  #closedAs: "cancelled" | "expired" | undefined;

  /**
   * @param waitingChanged called when the first request is open, and when none is open any more
   * @param given what people have answered already, before this part of the run
   */
  constructor(
    sessionId: string,
    grants: Grants,
    emit: (event: RunEvent) => void,
    waitingChanged: (waiting: boolean) => void = () => {},
    given: readonly GivenAnswer[] = [],
  ) {
    this.#sessionId = sessionId;
    this.#grants = grants;
    this.#emit = emit;
    this.#waitingChanged = waitingChanged;
    this.#given = [...given];
    for (const { decision, scope, rule } of given)
      if (decision === "allow" && scope === "session" && rule !== undefined) grants.add(rule);
  }

  get waiting(): boolean {
    return this.#pending.size > 0;
  }

  /** Asks people and waits, however long it takes. Never rejects: the end of the run is an answer, too. */
  ask(question: Question): Promise<Resolution> {
    if (this.#closedAs) return Promise.resolve({ decision: this.#closedAs });
    // A rule too long to be kept whole is not offered: a cut rule would allow more than was shown.
    const rule = question.rule !== undefined && question.rule.length <= RULE_CHARS ? question.rule : undefined;
    if (question.kind === "permission" && rule !== undefined && this.#grants.has(rule))
      return Promise.resolve({ decision: "allow", by: "grant" });
    const request: HumanLoopRequest = {
      ...question,
      requestId: newRequestId(this.#sessionId),
      title: redact(question.title).slice(0, TITLE_CHARS),
      detail: cutValue(question.detail ?? {}, DETAIL_BYTES) as HumanLoopRequest["detail"],
      options: question.options ?? [],
      multiple: question.multiple ?? false,
      rule,
    };
    const given = this.#takeGiven(request);
    if (given) return Promise.resolve(given);
    return new Promise((resolve) => {
      this.#pending.set(request.requestId, { request, resolve });
      if (this.#pending.size === 1) this.#waitingChanged(true);
      this.#emit({ type: "run.status", data: { state: "waiting", detail: cutText(request.title, 900) } });
      this.#emit({ type: "human_loop.requested", data: request });
    });
  }

  /** A person's answer. The first one counts; any later one is refused. */
  reply(reply: HumanLoopReply): ReplyOutcome {
    const pending = this.#pending.get(reply.requestId);
    if (!pending) {
      return this.#answered.has(reply.requestId)
        ? refused(409, "already_answered", "This was answered before.")
        : refused(404, "unknown_request", "Nothing of this name was asked in this run.");
    }
    const { request, resolve } = pending;
    const resolution = toResolution(request, reply);
    if (!resolution) {
      return request.kind === "permission"
        ? refused(422, "bad_reply", "A permission request is answered with allow or deny.")
        : refused(422, "bad_reply", "A question is answered with at least one answer, or with deny.");
    }
    if (resolution.decision === "allow" && reply.scope === "session" && request.rule !== undefined)
      this.#grants.add(request.rule);
    this.#settle(reply.requestId);
    if (!this.waiting) this.#emit({ type: "run.status", data: { state: "running" } });
    resolve(resolution);
    return { ok: true };
  }

  /** The run ends: whatever waits is resolved, and nothing can be asked any more. Idempotent. */
  closeAll(as: "cancelled" | "expired"): void {
    this.#closedAs ??= as;
    for (const [requestId, { resolve }] of [...this.#pending]) {
      this.#settle(requestId);
      this.#emit({ type: "human_loop.resolved", data: { requestId, decision: as } });
      resolve({ decision: as });
    }
  }

  /** The same was asked before this part of the run, and answered. */
  #takeGiven(request: HumanLoopRequest): Resolution | undefined {
    const index = this.#given.findIndex(
      ({ kind, title, rule }) =>
        kind === request.kind && rule === request.rule && (rule !== undefined || title === request.title),
    );
    const [answer] = index < 0 ? [] : this.#given.splice(index, 1);
    return answer && toResolution(request, { ...answer, requestId: request.requestId });
  }

  #settle(requestId: string): void {
    this.#pending.delete(requestId);
    this.#answered.add(requestId);
    if (!this.waiting) this.#waitingChanged(false);
  }
}

function toResolution(request: HumanLoopRequest, reply: HumanLoopReply): Resolution | undefined {
  if (reply.decision === "deny") return { decision: "deny", reason: reply.reason };
  if (request.kind === "permission")
    return reply.decision === "allow" ? { decision: "allow", by: "person" } : undefined;
  const answers = reply.answers ?? [];
  return reply.decision === "answer" && answers.length > 0 ? { decision: "answer", answers } : undefined;
}

function refused(status: 404 | 409 | 422, reason: string, message: string): ReplyOutcome {
  return { ok: false, status, reason, message };
}
