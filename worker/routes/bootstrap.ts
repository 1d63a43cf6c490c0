/** For the operator and `npm start`: the first administrator's sign-in link, and tokens for a machine without a person. */
import { Hono } from "hono";
import { z } from "zod";
import { allowAnyone } from "../auth/allow.ts";
import { ensureFirstOwner } from "../auth/bootstrap.ts";
import { mintJoinToken } from "../auth/join.ts";
import { sameSecret } from "../auth/secrets.ts";
import { mintServiceToken } from "../auth/service-token.ts";
import { mintSignInLink } from "../auth/sign-in.ts";
import type { AppEnv } from "../context.ts";
import { recordAuditOf } from "../db/audit.ts";
import { database } from "../db/database.ts";
import { describe } from "../describe.ts";
import { refuse } from "../errors.ts";
import { DEFAULT_POOL } from "../objects.ts";
import { jsonBody } from "../validate.ts";

const OPERATOR = { id: "bootstrap", name: "Operator" };
const bootstrapBody = z.object({
  /** Besides the sign-in link, which there always is. */
  mint: z.array(z.enum(["signIn", "serviceToken", "joinToken"])).default(["signIn"]),
  serviceTokenName: z.string().trim().min(1).max(200).default("bootstrap"),
});

export const bootstrapRoutes = new Hono<AppEnv>().post(
  "/",
  describe({
    summary: "Make the first organisation and its owner if there is none, and a fresh sign-in link",
    tag: "system",
    answers: {
      200: {
        description: "secrets that are shown this once",
        schema: z.object({
          organizationId: z.string(),
          signInUrl: z.string(),
          serviceToken: z.string().optional(),
          joinToken: z.string().optional(),
        }),
      },
    },
    refusals: [401],
    open: true,
  }),
  allowAnyone("BOOTSTRAP_TOKEN is the credential"),
  async (c, next) => {
    const bearer = /^Bearer +(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1] ?? "";
    if (!(await sameSecret(bearer, c.env.BOOTSTRAP_TOKEN))) {
      refuse("unauthenticated", "send Authorization: Bearer with the BOOTSTRAP_TOKEN of this installation");
    }
    await next();
  },
  jsonBody(bootstrapBody),
  async (c) => {
    const { mint, serviceTokenName } = c.req.valid("json");
    const db = database(c.env);
    const nowMs = Date.now();
    const { organizationId, userId } = await ensureFirstOwner(db, nowMs);
    const signInUrl = new URL("/sign-in", c.req.url);
    signInUrl.searchParams.set("token", await mintSignInLink(db, { organizationId, userId, nowMs }));
    const service = mint.includes("serviceToken")
      ? await mintServiceToken(db, {
          organizationId,
          name: serviceTokenName,
          role: "admin",
          createdBy: OPERATOR.id,
          nowMs,
        })
      : undefined;
    const join = mint.includes("joinToken")
      ? await mintJoinToken(db, { organizationId, pool: DEFAULT_POOL, nowMs })
      : undefined;
    const target = ["signIn", ...mint.filter((kind) => kind !== "signIn")].join(",");
    await recordAuditOf(c, organizationId, OPERATOR, { action: "bootstrap", target, allowed: true });
    c.header("cache-control", "no-store");
    return c.json({
      organizationId,
      signInUrl: signInUrl.href,
      ...(service ? { serviceToken: service.token } : {}),
      ...(join ? { joinToken: join.token } : {}),
    });
  },
);
