/** Delivers what the session owes to its fleet. Each call is idempotent on the other side. */

import { objectName } from "#protocol/ids.ts";
import type { DeadLetter, LeaseRequest } from "#protocol/objects.ts";
import { queuedRuns, runById, type SessionView } from "#protocol/session-view.ts";
import type { ObjectsEnv } from "../shell/env.ts";
import type { Identity } from "./checkpoint.ts";
import { holdsLease } from "./run-steps.ts";

/** @throws whatever the call throws; the outbox tries again */
export async function callFleet(
  env: ObjectsEnv,
  identity: Identity,
  view: SessionView,
  key: string,
  body: unknown,
): Promise<void> {
  const fleet = env.FLEET.getByName(objectName(identity.organizationId, identity.pool));
  const { sessionId } = identity;
  const [, verb, runId = ""] = key.split("/");
  switch (verb) {
    case "ask": {
      // What was true when it was written may not be true any more: a run that is served needs no host.
      if (runById(view, runId)?.state !== "queued" || holdsLease(view)) return;
      await fleet.requestLease(identity.organizationId, { ...(body as LeaseRequest), lastEpoch: view.epoch });
      return;
    }
    case "withdraw":
      if (queuedRuns(view)[0]?.id === runId) return;
      await fleet.cancelRequest({ sessionId, runId });
      return;
    case "release":
      await fleet.releaseLease({ sessionId, epoch: (body as { epoch: number }).epoch });
      return;
    case "dead":
      await fleet.deadLetter(body as DeadLetter);
      return;
    default:
      throw new Error(`unknown fleet call ${key}`);
  }
}
