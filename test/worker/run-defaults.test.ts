import { describe, expect, test } from "vitest";
import { type RuntimeDefaults, runtimeDefaultsSchema } from "#protocol/apps.ts";
import type { StartRunBody } from "#protocol/http.ts";
import { timeoutOf, withDefaults } from "../../worker/apps/run-defaults.ts";

describe("[R-5.8] a run's time limit", () => {
  const template = { "claude-code/opus": 3_000, "claude-code": 2_000, "*": 1_000 };
  const run = { provider: "claude-code", model: "opus", template };
  test.each([
    ["the run's own", { ...run, runTimeoutMs: 7, optionMs: 8 }, 7],
    ["its options'", { ...run, optionMs: 8 }, 8],
    ["an option that is no time counts for nothing", { ...run, optionMs: "8" }, 3_000],
    ["provider and model", run, 3_000],
    ["provider", { ...run, model: "haiku" }, 2_000],
    ["every run", { template, provider: "opencode", model: "opus" }, 1_000],
    ["the host's default", { provider: "opencode" }, undefined],
    ["no accident of names", { provider: "constructor", template: {} }, undefined],
  ])("%s", (_what, input, expected) => expect(timeoutOf(input)).toBe(expected));
});

describe("[R-8.2] an app's defaults", () => {
  const merged = (body: Partial<StartRunBody>, app: RuntimeDefaults | undefined) => withDefaults(body, app);
  const defaults = runtimeDefaultsSchema.parse({
    provider: "codex-cli",
    model: "m-app",
    providerOptions: { effort: "high", sandbox: "off" },
    timeouts: { "codex-app-server/m-app": 5_000 },
  });
  test("fill what the caller left out", () => {
    expect(merged({ prompt: "x" }, defaults)).toEqual({
      prompt: "x",
      provider: "codex-app-server",
      model: "m-app",
      providerOptions: { effort: "high", sandbox: "off" },
      runTimeoutMs: 5_000,
    });
  });

  test("give way to what the caller says, option by option", () => {
    const body = { model: "m-mine", providerOptions: { effort: "low" }, runTimeoutMs: 1 };
    expect(merged(body, defaults)).toMatchObject({
      model: "m-mine",
      providerOptions: { effort: "low", sandbox: "off" },
      runTimeoutMs: 1,
    });
  });

  test("of one provider are nothing to another", () => {
    const other = merged({ provider: "claude-code" }, defaults);
    expect([other.model, other.providerOptions, other.runTimeoutMs]).toEqual([undefined, undefined, undefined]);
  });

  test("are nothing without an app", () => {
    const body = { prompt: "x" };
    expect(merged(body, undefined)).toBe(body);
  });
});
