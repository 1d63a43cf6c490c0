/** Is the control plane up: for load balancers and for `gantry doctor`. Says nothing that a stranger may not know. */
import { sql } from "drizzle-orm";
import { Hono } from "hono";
import { z } from "zod";
import { PROTOCOL_VERSION } from "#protocol/version.ts";
import { allowAnyone } from "../auth/allow.ts";
import type { AppEnv } from "../context.ts";
import { database } from "../db/database.ts";
import { describe } from "../describe.ts";
import { refuse } from "../errors.ts";

export const VERSION = "0.1.0";

export const healthRoutes = new Hono<AppEnv>().get(
  "/",
  describe({
    summary: "Is the control plane up and its database within reach",
    tag: "system",
    answers: {
      200: {
        description: "yes",
        schema: z.object({ ok: z.literal(true), version: z.string(), protocol: z.number(), now: z.number() }),
      },
    },
    open: true,
  }),
  allowAnyone("says only that it is up"),
  async (c) => {
    try {
      await database(c.env).get(sql`select 1 from organizations limit 1`);
    } catch (error) {
      c.var.log.error("database_unreachable", { error });
      return refuse("unavailable", "the database cannot be reached, or its migrations were not applied");
    }
    c.header("cache-control", "no-store");
    return c.json({ ok: true as const, version: VERSION, protocol: PROTOCOL_VERSION, now: Date.now() });
  },
);
