/**
 * From a failure to an HTTP answer, in one place.
 *
 *   Rejection   expected, a value        → its status from the table below, `{ ok: false, reason, message, details? }`
 *   Defect      ours, anything thrown    → 500 `internal`: logged whole, told nothing but the trace id
 */
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { type Rejection, type Result, reject } from "#protocol/objects.ts";
import type { Logger } from "./log.ts";
import { StoreDamage } from "./store/frames.ts";
import { StoreUnavailable } from "./store/object-store.ts";

/** The status of every refusal that is not the default 422 ("well-formed, but refused"). */
const STATUS = {
  malformed: 400,
  bad_upgrade: 400,
  unauthenticated: 401,
  sign_in_link_unknown: 401,
  join_token_unknown: 401,
  assertion_rejected: 401,
  assertion_expired: 401,
  assertion_replayed: 401,
  token_rejected: 401,
  token_expired: 401,
  ticket_rejected: 401,
  host_unknown: 401,
  forbidden: 403,
  foreign_origin: 403,
  route_undeclared: 403,
  not_found: 404,
  session_not_found: 404,
  run_not_found: 404,
  request_not_found: 404,
  host_not_found: 404,
  snapshot_not_found: 404,
  conflict: 409,
  idempotency_conflict: 409,
  already_answered: 409,
  already_finished: 409,
  already_leased: 409,
  stale_epoch: 409,
  stale: 409,
  no_lease: 409,
  not_direct: 409,
  sign_in_link_used: 410,
  sign_in_link_expired: 410,
  join_token_used: 410,
  join_token_expired: 410,
  host_revoked: 410,
  session_deleted: 410,
  snapshot_pruned: 410,
  gone: 410,
  body_too_large: 413,
  unsupported_media_type: 415,
  upgrade_required: 426,
  too_many_runs: 429,
  queue_full: 429,
  rate_limited: 429,
  internal: 500,
  store_damaged: 500,
  misconfigured: 503,
  unavailable: 503,
  overloaded: 503,
  store_unavailable: 503,
} as const satisfies Record<string, ContentfulStatusCode>;

export function statusOf(reason: string): ContentfulStatusCode {
  return Object.hasOwn(STATUS, reason) ? STATUS[reason as keyof typeof STATUS] : 422;
}

/** An expected refusal on its way to the caller; thrown so that a route reads straight down. */
export class Refused extends Error {
  readonly rejection: Rejection;

  constructor(rejection: Rejection) {
    super(rejection.message);
    this.name = "Refused";
    this.rejection = rejection;
  }
}

/** @throws Refused always */
export function refuse(reason: string, message: string, details?: unknown): never {
  throw new Refused(reject(reason, message, details));
}

/**
 * The value of what an object answered.
 * @throws Refused when it answered a rejection
 */
export function unwrap<T>(result: Result<T>): T {
  if (!result.ok) throw new Refused(result);
  return result;
}

/**
 * What the platform throws when an object cannot be reached just now; asking again is right, for a command with the
 * same id. `undefined` for everything else.
 */
function platformRefusal(error: unknown): Rejection | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  if ("overloaded" in error && error.overloaded === true)
    return reject("overloaded", "too many requests for this session at once; try again shortly");
  if ("retryable" in error && error.retryable === true)
    return reject("unavailable", "the session is being moved; try again");
  return undefined;
}

/**
 * What a failure is to the caller. Whatever is not expected is a defect: logged here, once, and told as `internal`.
 */
export function rejectionOf(c: { var: { log: Logger; traceId: string } }, error: unknown): Rejection {
  if (error instanceof Refused) return error.rejection;
  const { log, traceId } = c.var;
  const unavailable = platformRefusal(error);
  if (unavailable) {
    log.warn("object_unavailable", { error });
    return unavailable;
  }
  if (error instanceof StoreUnavailable) {
    log.warn("store_unavailable", { error });
    return reject(
      "store_unavailable",
      "The store of files does not answer as it should; nothing was changed. Try again.",
    );
  }
  if (error instanceof StoreDamage) {
    log.error("store_damaged", { error });
    return reject(
      "store_damaged",
      `What the store holds is not what was saved, so nothing of it is given out. Trace id: ${traceId}`,
    );
  }
  log.error("defect", { error, stack: error instanceof Error ? error.stack : undefined });
  return reject("internal", `Something went wrong here. Trace id: ${traceId}`, { traceId });
}
