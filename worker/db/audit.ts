/** The audit log: who asked for what, whether it was allowed, and why not. Append-only (the table refuses changes). */
import { audit } from "../../migrations/schema.ts";
import { actorOf } from "../auth/principal.ts";
import type { AppContext } from "../context.ts";
import { database } from "./database.ts";

export type AuditEntry = { action: string; target: string; allowed: boolean; reason?: string };
const MAX_CHARS = 500;

/** Records what the authenticated principal asked for. Awaited by the caller: what is not on record did not happen. */
export async function recordAudit(c: AppContext, entry: AuditEntry): Promise<void> {
  const { organizationId } = c.var.principal;
  await recordAuditOf(c, organizationId, actorOf(c.var.principal), entry);
}

/** The same for requests without a principal: joining hosts, sign-in, bootstrap. */
export async function recordAuditOf(
  c: AppContext,
  organizationId: string,
  actor: { id: string; name: string },
  entry: AuditEntry,
): Promise<void> {
  await database(c.env)
    .insert(audit)
    .values({
      at: Date.now(),
      organizationId,
      actorId: actor.id,
      actorName: actor.name,
      action: entry.action,
      target: entry.target.slice(0, MAX_CHARS),
      allowed: entry.allowed,
      reason: entry.reason?.slice(0, MAX_CHARS),
      traceId: c.var.traceId,
    });
}
