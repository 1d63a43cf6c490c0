/** People's decisions about a workspace that its host cannot save. */
import { Hono } from "hono";
import { z } from "zod";
import { sessionIdSchema } from "#protocol/ids.ts";
import { SYNC_CHOICES } from "#protocol/vocabulary.ts";
import { allow } from "../auth/allow.ts";
import { type AppEnv, commandContext } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { describe } from "../describe.ts";
import { unwrap } from "../errors.ts";
import { sessionObject } from "../objects.ts";
import { jsonBody, params } from "../validate.ts";

export const workspaceRoutes = new Hono<AppEnv>().post(
  "/:id/workspace/:choice",
  describe({
    summary: "Decide about work that could not be saved: retry now, extend the tries, or discard it (kept on the host)",
    tag: "sessions",
    answers: { 200: { description: "decided", schema: z.object({ ok: z.literal(true) }) } },
    refusals: [404, 409, 410, 422],
  }),
  allow("sessions.write"),
  params(z.object({ id: sessionIdSchema, choice: z.enum(SYNC_CHOICES) })),
  jsonBody(z.strictObject({ reason: z.string().trim().max(1_000).optional() })),
  async (c) => {
    const { id, choice } = c.req.valid("param");
    const { reason } = c.req.valid("json");
    const session = sessionObject(c.env, c.var.principal.organizationId, id);
    const input = reason === undefined ? { choice } : { choice, reason };
    unwrap(await session.decideSync(input, await commandContext(c)));
    await recordAudit(c, { action: `workspace.${choice}`, target: id, allowed: true, ...(reason ? { reason } : {}) });
    return c.json({ ok: true as const });
  },
);
