/**
 * Every route says what it needs, and the default is refusal.
 *
 *   app.get("/api/hosts", allow("hosts.read"), handler)
 *
 * The declaration is read off the route table, twice: `refuseUndeclared` answers 403 at run time for a route without
 * one, and a test walks the table so that it does not come to that.
 */
import type { Handler, MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { matchedRoutes } from "hono/route";
import { findTargetHandler } from "hono/utils/handler";
import type { AppEnv } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { refuse } from "../errors.ts";
import { authenticate } from "./authenticate.ts";
import { requireOwnOrigin } from "./origin.ts";
import { type Permission, permissionsOf } from "./permissions.ts";
import { may, type Principal } from "./principal.ts";

const DECLARATION = Symbol("gantry.permission");
export type Declaration = Permission | { public: string };

/** The route needs this permission: authenticates, checks the origin of a cookie's request, and authorises. */
export function allow(permission: Permission): MiddlewareHandler<AppEnv> {
  const middleware = createMiddleware<AppEnv>(async (c, next) => {
    const principal = await authenticate(c);
    c.set("principal", principal);
    c.set("log", c.var.log.with(principalFields(principal)));
    if (principal.kind === "person") requireOwnOrigin(c);
    if (!may(principal, permission)) {
      await recordAudit(c, { action: permission, target: c.req.path, allowed: false, reason: "forbidden" });
      refuse("forbidden", `this needs the permission ${permission}`, { permission });
    }
    await next();
  });
  return Object.assign(middleware, { [DECLARATION]: permission satisfies Declaration });
}

/** The route needs no principal, and this is why. It checks by itself whatever it has to check. */
export function allowAnyone(why: string): MiddlewareHandler<AppEnv> {
  const middleware = createMiddleware<AppEnv>(async (_c, next) => next());
  return Object.assign(middleware, { [DECLARATION]: { public: why } satisfies Declaration });
}

/** What a handler of the route table declares; undefined for all that are not `allow…`. */
export function declarationOf(handler: Handler | MiddlewareHandler): Declaration | undefined {
  return (findTargetHandler(handler as Handler) as { [DECLARATION]?: Declaration })[DECLARATION];
}

/** Refuses a route that declares nothing, before any of its own code runs. */
export const refuseUndeclared = createMiddleware<AppEnv>(async (c, next) => {
  const own = matchedRoutes(c).filter((route) => route.method !== "ALL");
  if (own.length > 0 && !own.some((route) => declarationOf(route.handler))) {
    c.var.log.error("route_undeclared");
    refuse("route_undeclared", "this route says nothing about who may use it");
  }
  await next();
});

function principalFields(principal: Principal): Record<string, unknown> {
  const { kind, id, organizationId } = principal;
  return kind === "host" ? { hostId: id, organizationId } : { principal: id, principalKind: kind, organizationId };
}

/** Everything a principal may do, for `GET /api/me`. */
export function grantedTo(principal: Principal): readonly Permission[] {
  return principal.kind === "host" ? ["host.link"] : permissionsOf(principal.role);
}
