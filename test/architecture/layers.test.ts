import { describe, expect, it } from "vitest";
import { layerOf, refusal } from "./layers.ts";

/** The checks are checked: each of these would be a hole if it stopped being refused. */
describe("the table of layers", () => {
  it.each([
    ["durable/protocol/events.ts", { package: "hono" }],
    ["durable/session/decide.ts", { package: "cloudflare:workers" }],
    ["durable/session/decide.ts", { package: "zod" }],
    ["durable/session/decide.ts", { path: "durable/session/hub.ts" }],
    ["durable/session/hub.ts", { path: "worker/app.ts" }],
    ["worker/app.ts", { path: "durable/session/session-object.ts" }],
    ["worker/app.ts", { package: "node:fs" }],
    ["executor-host/main.ts", { path: "worker/app.ts" }],
    ["executor-host/runner/main.ts", { path: "executor-host/main.ts" }],
    ["executor-host/main.ts", { path: "executor-host/local/start.ts" }],
    ["web/main.tsx", { path: "worker/app.ts" }],
    ["web/main.tsx", { package: "node:fs" }],
  ])("refuses %s → %o", (from, to) => {
    expect(refuse(from, to, false)).toBeTypeOf("string");
  });

  it("tells a type from a value", () => {
    expect(refuse("web/main.tsx", { path: "worker/app.ts" }, true)).toBeUndefined();
    expect(refuse("web/main.tsx", { path: "worker/env.ts" }, true)).toBeTypeOf("string");
    expect(refuse("durable/protocol/events.ts", { package: "ai" }, true)).toBeUndefined();
    expect(refuse("durable/protocol/events.ts", { package: "ai" }, false)).toBeTypeOf("string");
  });
});

function refuse(from: string, to: { path?: string; package?: string }, typeOnly: boolean): string | undefined {
  const [layer, target] = [layerOf(from), to.path === undefined ? undefined : layerOf(to.path)];
  if (layer === undefined) throw new Error(`${from} has no layer`);
  return refusal(layer, { ...to, ...(target && { layer: target }) }, typeOnly);
}
