/** The one-time link, the browser's session, and who is asking. The page behind the link is the portal's. */
import { Hono } from "hono";
import { z } from "zod";
import { allow, allowAnyone, grantedTo } from "../auth/allow.ts";
import { closeSockets, credentialOf } from "../auth/opened-sockets.ts";
import { requireOwnOrigin } from "../auth/origin.ts";
import { PERMISSIONS } from "../auth/permissions.ts";
import { signIn, signOut } from "../auth/sign-in.ts";
import type { AppEnv } from "../context.ts";
import { describe } from "../describe.ts";
import { jsonBody } from "../validate.ts";

const LINK_IS_THE_CREDENTIAL = "the one-time link is the credential";
const ok = z.object({ ok: z.literal(true) });

export const accountRoutes = new Hono<AppEnv>()
  .post(
    "/sign-in",
    describe({
      summary: "Use a one-time sign-in link",
      tag: "account",
      answers: { 200: { description: "the cookie `gantry_session` is set", schema: ok } },
      refusals: [401, 403, 410],
      open: true,
    }),
    allowAnyone(LINK_IS_THE_CREDENTIAL),
    jsonBody(z.object({ token: z.string().max(500) })),
    async (c) => {
      // A browser says where it is; a program without an Origin brings no cookies that could be planted.
      if (c.req.header("origin") !== undefined) requireOwnOrigin(c);
      await signIn(c, c.req.valid("json").token);
      return c.json({ ok: true as const });
    },
  )
  .post(
    "/sign-out",
    describe({
      summary: "End this browser's session",
      tag: "account",
      answers: { 200: { description: "the cookie is gone, and worthless", schema: ok } },
    }),
    allow("account.read"),
    async (c) => {
      await signOut(c);
      const credential = credentialOf(c.var.principal);
      if (credential && c.var.principal.kind === "person") await closeSockets(c, credential);
      return c.json({ ok: true as const });
    },
  )
  .get(
    "/me",
    describe({
      summary: "Who is asking, and what they may do",
      tag: "account",
      answers: {
        200: {
          description: "the principal",
          schema: z.object({
            kind: z.enum(["person", "service", "host"]),
            id: z.string(),
            name: z.string(),
            organizationId: z.string(),
            role: z.string().optional(),
            permissions: z.array(z.enum(PERMISSIONS)),
          }),
        },
      },
    }),
    allow("account.read"),
    (c) => {
      const { principal } = c.var;
      const { kind, id, name, organizationId } = principal;
      const role = principal.kind === "host" ? undefined : principal.role;
      return c.json({ kind, id, name, organizationId, role, permissions: [...grantedTo(principal)] });
    },
  );
