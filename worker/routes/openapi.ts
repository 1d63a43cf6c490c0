/** The API's own description, made from the routes themselves. */
import { Hono } from "hono";
import { generateSpecs } from "hono-openapi";
import { allowAnyone } from "../auth/allow.ts";
import type { AppEnv } from "../context.ts";
import { VERSION } from "./health.ts";

/** @param app the whole application, read when the document is first asked for */
export function openApiRoutes(app: () => Hono<AppEnv>) {
  let document: Promise<object> | undefined;
  return new Hono<AppEnv>().get("/openapi.json", allowAnyone("it is the same for everyone"), async (c) => {
    document ??= generateSpecs(app(), {
      defaultValidationErrorResponse: false,
      documentation: {
        info: { title: "Gantry", version: VERSION, description: "Run coding agents on machines you own." },
        components: {
          securitySchemes: {
            serviceToken: { type: "http", scheme: "bearer" },
            cookie: { type: "apiKey", in: "cookie", name: "gantry_session" },
          },
        },
      },
    });
    return c.json(await document);
  });
}
