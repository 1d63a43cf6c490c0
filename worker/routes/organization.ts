/** The organisation's settings. */
import { eq } from "drizzle-orm";
import { Hono } from "hono";
import { z } from "zod";
import { providerSchema } from "#protocol/http.ts";
import { PROVIDERS, VM_MODES } from "#protocol/vocabulary.ts";
import { organizations } from "../../migrations/schema.ts";
import { allow } from "../auth/allow.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { database } from "../db/database.ts";
import { describe } from "../describe.ts";
import { jsonBody } from "../validate.ts";

const organizationRecord = z
  .object({
    id: z.string(),
    name: z.string(),
    /** Isolation of sessions that name none. */
    defaultVmMode: z.enum(VM_MODES),
    /** Provider of sessions that name none. */
    defaultProvider: z.enum(PROVIDERS),
    /** Bytes in the store; null: what is built in. */
    sessionStoreBytes: z.number().nullable(),
    organizationStoreBytes: z.number().nullable(),
    createdAt: z.number(),
  })
  .meta({ id: "Organization" });
const storeBytes = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).nullable().optional();
const organizationAnswer = z.object({ organization: organizationRecord });
const updateBody = z.object({
  name: z.string().trim().min(1).max(200).optional(),
  defaultVmMode: z.enum(VM_MODES).optional(),
  defaultProvider: providerSchema.optional(),
  sessionStoreBytes: storeBytes,
  organizationStoreBytes: storeBytes,
});

export const organizationRoutes = new Hono<AppEnv>()
  .get(
    "/",
    describe({
      summary: "The organisation and its defaults",
      tag: "organization",
      answers: { 200: { description: "the organisation", schema: organizationAnswer } },
    }),
    allow("organization.read"),
    async (c) => c.json({ organization: await ownOrganization(c) }),
  )
  .patch(
    "/",
    describe({
      summary: "Change the organisation's name or defaults",
      tag: "organization",
      answers: { 200: { description: "as it is now", schema: organizationAnswer } },
    }),
    allow("organization.admin"),
    jsonBody(updateBody),
    async (c) => {
      const change = c.req.valid("json");
      if (Object.keys(change).length > 0) {
        await database(c.env)
          .update(organizations)
          .set(change)
          .where(eq(organizations.id, c.var.principal.organizationId));
        await recordAudit(c, { action: "organization.update", target: Object.keys(change).join(","), allowed: true });
      }
      return c.json({ organization: await ownOrganization(c) });
    },
  );

async function ownOrganization(c: AppContext) {
  const [row] = await database(c.env)
    .select()
    .from(organizations)
    .where(eq(organizations.id, c.var.principal.organizationId));
  if (!row) throw new Error("a principal's organisation is missing");
  return row;
}
