/** The OpenAPI side of a route: what it is for, what it answers, and which refusals to expect. */
import { describeRoute, resolver } from "hono-openapi";
import type { z } from "zod";
import { errorBody } from "#protocol/http.ts";

export type RouteDescription = {
  summary: string;
  tag: "sessions" | "runs" | "chat" | "human loop" | "hosts" | "files" | "account" | "organization" | "system";
  /** Answers by status; `null` for one without a JSON body. */
  answers: Record<number, { description: string; schema?: z.ZodType; media?: string }>;
  /** Statuses of refusals beyond 400, 401, 403 and 500, which every route may give. */
  refusals?: number[];
  /** Nothing has to authenticate. */
  open?: boolean;
};

const REFUSALS: Record<number, string> = {
  400: "malformed: not what the schema says",
  401: "no or unknown credentials",
  403: "forbidden, or a cookie's request from a foreign origin",
  404: "not found; also for everything of another organisation",
  409: "conflict: already answered, already finished, or an Idempotency-Key used for something else",
  410: "gone: used, expired, deleted or revoked",
  413: "body too large",
  415: "not JSON",
  422: "well-formed, but refused",
  426: "a WebSocket upgrade is needed",
  429: "too many",
  500: "internal error; the message carries a trace id",
  503: "not available just now; trying again is right",
};

export function describe({ summary, tag, answers, refusals = [], open = false }: RouteDescription) {
  const statuses = [...(open ? [400, 500] : [400, 401, 403, 500]), ...refusals, 503];
  return describeRoute({
    summary,
    tags: [tag],
    security: open ? [] : [{ serviceToken: [] }, { cookie: [] }],
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, { description, schema, media = "application/json" }]) => [
          status,
          schema ? { description, content: { [media]: { schema: resolver(schema) } } } : { description },
        ]),
      ),
      ...Object.fromEntries(
        statuses.map((status) => [
          status,
          {
            description: REFUSALS[status] ?? "refused",
            content: { "application/json": { schema: resolver(errorBody) } },
          },
        ]),
      ),
    },
  });
}
