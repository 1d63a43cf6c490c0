/** The audit log, the newest entries first. */
import { and, desc, eq, like, lt } from "drizzle-orm";
import { Hono } from "hono";
import { z } from "zod";
import { audit } from "../../migrations/schema.ts";
import { allow } from "../auth/allow.ts";
import type { AppEnv } from "../context.ts";
import { database } from "../db/database.ts";
import { withoutNulls } from "../db/runs.ts";
import { describe } from "../describe.ts";
import { query } from "../validate.ts";

const auditEntry = z
  .object({
    id: z.number(),
    at: z.number(),
    actorId: z.string(),
    actorName: z.string(),
    action: z.string(),
    target: z.string(),
    allowed: z.boolean(),
    reason: z.string().optional(),
    traceId: z.string(),
  })
  .meta({ id: "AuditEntry" });

const auditQuery = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.coerce.number().int().positive().optional(),
  actorId: z.string().max(100).optional(),
  /** An action, or the beginning of one: `hosts.` */
  action: z.string().max(100).optional(),
  target: z.string().max(500).optional(),
  allowed: z.enum(["true", "false"]).optional(),
});

export const auditRoutes = new Hono<AppEnv>().get(
  "/",
  describe({
    summary: "Search the audit log",
    tag: "organization",
    answers: {
      200: {
        description: "one page, the newest first; `nextCursor` when there are more",
        schema: z.object({ entries: z.array(auditEntry), nextCursor: z.number().optional() }),
      },
    },
  }),
  allow("audit.read"),
  query(auditQuery),
  async (c) => {
    const { limit, cursor, actorId, action, target, allowed } = c.req.valid("query");
    const rows = await database(c.env)
      .select()
      .from(audit)
      .where(
        and(
          eq(audit.organizationId, c.var.principal.organizationId),
          cursor === undefined ? undefined : lt(audit.id, cursor),
          actorId === undefined ? undefined : eq(audit.actorId, actorId),
          action === undefined ? undefined : like(audit.action, `${action.replace(/[%_]/g, " ")}%`),
          target === undefined ? undefined : eq(audit.target, target),
          allowed === undefined ? undefined : eq(audit.allowed, allowed === "true"),
        ),
      )
      .orderBy(desc(audit.id))
      .limit(limit + 1);
    const page = rows.slice(0, limit);
    const nextCursor = rows.length > limit ? page.at(-1)?.id : undefined;
    const entries = page.map(({ organizationId: _own, ...entry }) => withoutNulls(entry));
    return c.json({ entries, ...(nextCursor === undefined ? {} : { nextCursor }) });
  },
);
