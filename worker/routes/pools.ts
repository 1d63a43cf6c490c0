/** What operators set for all hosts of a pool. */
import { Hono } from "hono";
import { z } from "zod";
import { poolSettings, poolSettingsPatch } from "#protocol/pool-settings.ts";
import { allow } from "../auth/allow.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { describe } from "../describe.ts";
import { refuse } from "../errors.ts";
import { type FleetStub, fleetObject } from "../objects.ts";
import { allPools } from "../reconcile/sweep.ts";
import { jsonBody, params } from "../validate.ts";

const poolPath = z.object({ pool: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/) });
const settingsAnswer = z.object({ pool: z.string(), version: z.number(), settings: poolSettings });

export const poolRoutes = new Hono<AppEnv>()
  .get(
    "/:pool/settings",
    describe({
      summary: "What is set for the hosts of a pool",
      tag: "hosts",
      answers: { 200: { description: "`version` 0: nothing was ever set", schema: settingsAnswer } },
      refusals: [404],
    }),
    allow("hosts.read"),
    params(poolPath),
    async (c) => {
      const { pool } = c.req.valid("param");
      return c.json({ pool, ...(await (await ownPool(c, pool)).settings()) });
    },
  )
  .patch(
    "/:pool/settings",
    describe({
      summary: "Change settings of a pool's hosts, live",
      tag: "hosts",
      answers: { 200: { description: "as it is now; `null` goes back to each host's own", schema: settingsAnswer } },
      refusals: [404],
    }),
    allow("hosts.admin"),
    params(poolPath),
    jsonBody(poolSettingsPatch),
    async (c) => {
      const { pool } = c.req.valid("param");
      const patch = c.req.valid("json");
      const fleet = await ownPool(c, pool);
      if (Object.keys(patch).length === 0) return c.json({ pool, ...(await fleet.settings()) });
      const { organizationId } = c.var.principal;
      const changed = await fleet.changeSettings({ organizationId, pool }, patch);
      await recordAudit(c, { action: "pools.settings", target: `${pool}: ${JSON.stringify(patch)}`, allowed: true });
      return c.json({ pool, ...changed });
    },
  );

/** @throws Refused `not_found` for a pool that this organisation has not: no object is made for a made-up name */
async function ownPool(c: AppContext, pool: string): Promise<FleetStub> {
  const { organizationId } = c.var.principal;
  if (!(await allPools(c.env, organizationId)).includes(pool)) refuse("not_found", "there is no such pool");
  return fleetObject(c.env, organizationId, pool);
}
