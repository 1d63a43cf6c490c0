import { Hono } from "hono";
import { generateSpecs } from "hono-openapi";
import { describe, expect, test } from "vitest";
import { app } from "../../worker/app.ts";
import { allow, allowAnyone, refuseUndeclared } from "../../worker/auth/allow.ts";
import { PERMISSIONS, roleMay } from "../../worker/auth/permissions.ts";
import { type AppEnv, requestContext } from "../../worker/context.ts";
import { Refused } from "../../worker/errors.ts";
import { routeTable } from "../support/route-table.ts";

const table = routeTable();
/** Pages for people, and the document itself. */
const UNDOCUMENTED = new Set(["GET /sign-in", "POST /sign-in", "GET /api/openapi.json"]);

describe("every route says who may use it", () => {
  test("there are routes to check", () => expect(table.length).toBeGreaterThan(30));

  test.each(table.map((route) => [`${route.method} ${route.path}`, route] as const))("%s", (_name, { declaration }) => {
    expect(declaration).toBeDefined();
    if (typeof declaration === "object") expect(declaration.public.length).toBeGreaterThan(10);
    else expect(PERMISSIONS).toContain(declaration);
  });

  test("a route that says nothing is refused before it runs", async () => {
    let ran = false;
    const forgetful = new Hono<AppEnv>()
      .use(requestContext)
      .use(refuseUndeclared)
      .get("/open", allowAnyone("for this test"), (c) => c.text("open"))
      .get("/forgotten", (c) => {
        ran = true;
        return c.text("never");
      });
    forgetful.onError((error, c) => c.text(error instanceof Refused ? error.rejection.reason : "defect", 403));
    expect(await (await forgetful.request("/open")).text()).toBe("open");
    expect(await (await forgetful.request("/forgotten")).text()).toBe("route_undeclared");
    expect(ran).toBe(false);
  });

  test("a declaration on a wildcard does not cover the routes under it", async () => {
    const sloppy = new Hono<AppEnv>()
      .use(requestContext)
      .use(refuseUndeclared)
      .use("/api/*", allow("sessions.read"))
      .get("/api/thing", (c) => c.text("never"));
    sloppy.onError((error, c) => c.text(error instanceof Refused ? error.rejection.reason : "defect", 403));
    expect(await (await sloppy.request("/api/thing")).text()).toBe("route_undeclared");
  });
});

describe("roles", () => {
  test("each does at least what the one below does, and members administer nothing", () => {
    for (const permission of PERMISSIONS) {
      if (roleMay("member", permission)) expect(roleMay("admin", permission)).toBe(true);
      if (roleMay("admin", permission)) expect(roleMay("owner", permission)).toBe(true);
    }
    expect(
      PERMISSIONS.filter((permission) => roleMay("member", permission) && /admin|operate|audit/.test(permission)),
    ).toEqual([]);
  });
  test("no person's role speaks for a host", () => expect(roleMay("owner", "host.link")).toBe(false));
});

describe("the OpenAPI document", async () => {
  const document = await generateSpecs(app, { defaultValidationErrorResponse: false });
  const operation = (method: string, path: string) =>
    document.paths[path.replace(/:(\w+)(?:\{[^}]*\})?/g, "{$1}")]?.[method.toLowerCase() as "get"];

  test.each(
    table
      .filter(({ method, path }) => !UNDOCUMENTED.has(`${method} ${path}`))
      .map(({ method, path }) => [method, path]),
  )("%s %s is described", (method, path) => {
    const described = operation(method ?? "", path ?? "");
    expect(described?.summary).toBeTruthy();
    expect(Object.keys(described?.responses ?? {}).some((status) => /^[12]/.test(status))).toBe(true);
    expect(Object.keys(described?.responses ?? {})).toContain("400");
  });

  test("every reference leads somewhere", () => {
    const text = JSON.stringify(document);
    const names = [...text.matchAll(/"#\/components\/(\w+)\/(\w+)"/g)];
    expect(names.length).toBeGreaterThan(10);
    for (const [, kind, name] of names) {
      expect(document.components, `${kind}/${name}`).toHaveProperty([kind ?? "", name ?? ""]);
    }
  });

  test("bodies are what the routes check", () => {
    const start = JSON.stringify(operation("POST", "/api/runs/start")?.requestBody);
    for (const field of ["prompt", "sessionId", "provider", "onDisconnect", "runTimeoutMs"])
      expect(start).toContain(field);
    const body = operation("POST", "/api/runs/start")?.requestBody;
    const required = body && "content" in body ? body.content["application/json"]?.schema : undefined;
    expect(required).toMatchObject({ required: ["prompt"] });
  });
});
