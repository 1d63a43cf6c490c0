import { describe, expect, test } from "vitest";
import { type RuntimeDefaults, runtimeDefaultsSchema } from "#protocol/apps.ts";
import { timeoutOf, withDefaults } from "#protocol/run-defaults.ts";
import type { PromptInput } from "#protocol/viewer.ts";
import type { Provider } from "#protocol/vocabulary.ts";

describe("[R-5.8] a run's time limit", () => {
  const template = { "claude-code/opus": 3_000, "claude-code": 2_000, "*": 1_000 };
  const run = { provider: "claude-code", model: "opus", template };
  test.each([
    ["the run's own", { ...run, timeoutMs: 7, optionMs: 8 }, 7],
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
  const defaults = runtimeDefaultsSchema.parse({
    provider: "codex-cli",
    model: "m-app",
    providerOptions: { effort: "high", sandbox: "off" },
    timeouts: { "codex-app-server/m-app": 5_000, "*": 9_000 },
    humanLoopTimeoutMs: 60_000,
  });
  const merged = (prompt: Partial<PromptInput>, app: RuntimeDefaults = defaults, its: Provider = "codex-app-server") =>
    withDefaults({ text: "x", ...prompt }, app, its);
  test("fill what the caller left out", () => {
    expect(merged({})).toEqual({
      text: "x",
      model: "m-app",
      providerOptions: { effort: "high", sandbox: "off" },
      timeoutMs: 5_000,
      humanLoopTimeoutMs: 60_000,
    });
  });

  test("give way to what the caller says, option by option", () => {
    const asked = { model: "m-mine", providerOptions: { effort: "low" }, timeoutMs: 1, humanLoopTimeoutMs: 2 };
    expect(merged(asked)).toEqual({
      text: "x",
      ...asked,
      providerOptions: { effort: "low", sandbox: "off" },
    });
  });

  test.each([
    ["the caller's", { provider: "claude-code" as const }, undefined],
    ["the session's own", {}, "claude-code" as const],
  ])("of one provider are nothing to another: %s", (_whose, prompt, its) => {
    const { model, providerOptions, timeoutMs } = merged(prompt, defaults, its);
    expect({ model, providerOptions, timeoutMs }).toEqual({ timeoutMs: 9_000 });
  });

  test("without a provider are for the session's own", () => {
    const plain = runtimeDefaultsSchema.parse({ model: "m-app", providerOptions: { timeoutMs: 7 } });
    expect(merged({}, plain, "native")).toMatchObject({ model: "m-app", timeoutMs: 7 });
    expect(merged({ provider: "opencode" }, plain, "native")).not.toHaveProperty("model");
  });

  test("without anything to say leave a prompt as it is", () => {
    expect(merged({}, runtimeDefaultsSchema.parse({}))).toEqual({ text: "x" });
  });
});
