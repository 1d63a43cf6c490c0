/** What a host would do to prepare a workspace, without doing it. The check that counts is the host's own, on its disk. */
import { Hono } from "hono";
import { z } from "zod";
import { planRestore } from "#protocol/restore-plan.ts";
import { restorePlanBody, restorePlanSchema } from "#protocol/runtime-manifest.ts";
import { allow } from "../auth/allow.ts";
import type { AppEnv } from "../context.ts";
import { describe } from "../describe.ts";
import { Refused } from "../errors.ts";
import { jsonBody } from "../validate.ts";

export const restorePlanRoutes = new Hono<AppEnv>().post(
  "/",
  describe({
    summary: "Plan how a workspace is prepared for a run, or say what it lacks",
    tag: "runs",
    answers: {
      200: { description: "the layers L0 to L4", schema: z.object({ ok: z.literal(true), plan: restorePlanSchema }) },
    },
    refusals: [413, 422],
  }),
  allow("sessions.write"),
  jsonBody(restorePlanBody),
  async (c) => {
    const planned = planRestore(c.req.valid("json"));
    if (planned.ok) return c.json(planned);
    // puts `missing` beside the reason.
    if (planned.reason === "required_paths_missing") return c.json(planned, 422);
    throw new Refused(planned);
  },
);
