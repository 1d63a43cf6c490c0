/** The Worker's routes as a list, read off the application itself, so that a new route cannot be forgotten by a test. */

import { app } from "../../worker/app.ts";
import { type Declaration, declarationOf } from "../../worker/auth/allow.ts";

export type RouteEntry = { method: string; path: string; declaration: Declaration | undefined };

export function routeTable(): RouteEntry[] {
  const table = new Map<string, RouteEntry>();
  for (const { method, path, handler } of app.routes) {
    if (method === "ALL") continue;
    const key = `${method} ${path}`;
    const entry = table.get(key) ?? { method, path, declaration: undefined };
    entry.declaration ??= declarationOf(handler);
    table.set(key, entry);
  }
  return [...table.values()];
}

/** The routes that need a permission. */
export function guardedRoutes() {
  return routeTable().flatMap(({ declaration, ...route }) =>
    typeof declaration === "string" ? [{ ...route, permission: declaration }] : [],
  );
}
