/** What agents say of a model that does not answer, as reasons. The real agents' words; how they come is in acp-agents.test.ts. */
import { describe, expect, test } from "vitest";
import { Attempts, endOf, opencodeTrouble, toldFailure } from "../../../executor-host/runner/adapters/acp/failures.ts";

const meta = (sessionFailure: object) => ({ jetbrains: { air: { sessionFailure } } });

describe("[R-5.7] a failure that an agent tells beside the protocol", () => {
  test.each([
    ["service", "We’re currently experiencing high demand, which may cause temporary errors.", "overloaded"],
    ["connection", "stream disconnected before completion: Transport error", "overloaded"],
    ["limit", "You've hit your usage limit.", "rate_limited"],
    ["limit", "Codex ran out of room in the model's context window.", "context_exceeded"],
    ["access", "Sign in again.", "auth_rejected"],
    ["service", "The model `gpt-9` does not exist or you do not have access to it.", "model_not_found"],
  ])("%s: %s", (category, title, reason) => {
    expect(endOf(toldFailure(meta({ severity: "error", category, title })))).toEqual({ reason, evidence: title });
  });

  test("is none while the agent goes on trying, or when nothing is told", () => {
    expect(endOf(toldFailure(meta({ severity: "warning", category: "limit", title: "Reconnecting... 1/2" })))).toBe(
      undefined,
    );
    expect(endOf(toldFailure(undefined))).toBe(undefined);
    expect(endOf(toldFailure({ jetbrains: { air: {} } }))).toBe(undefined);
  });
});

describe("[R-5.7] an agent that goes on trying", () => {
  const line = (more: string, words: string) =>
    `timestamp=2026-11-21T21:50:17.363Z level=ERROR message="stream error" modelID=m ${more} agent=build error.error="${words}"`;

  test("says each failed request in a line of its log; its side jobs are none", () => {
    expect(opencodeTrouble(line("small=false", "AI_APICallError: Internal Server Error"))).toBe(
      "AI_APICallError: Internal Server Error",
    );
    expect(opencodeTrouble(line("small=true", "AI_APICallError: Internal Server Error"))).toBe(undefined);
    expect(opencodeTrouble('level=ERROR message=process error="Internal Server Error"')).toBe(undefined);
  });

  test("is ended after the third failed request in a row, with what that said; a step that was done begins anew", async () => {
    const attempts = new Attempts();
    let ended = false;
    void attempts.gaveUp.then(() => {
      ended = true;
    });
    for (const words of ["Internal Server Error", "Internal Server Error"]) attempts.failed(words);
    attempts.progressed();
    for (const words of ["Internal Server Error", "Internal Server Error"]) attempts.failed(words);
    await Promise.resolve();
    expect(ended).toBe(false);
    attempts.failed("Internal Server Error");
    expect(await attempts.gaveUp).toEqual({ reason: "overloaded", evidence: "Internal Server Error" });
    const limited = new Attempts();
    for (let tries = 0; tries < 3; tries++) limited.failed("AI_APICallError: Too Many Requests");
    expect(await limited.gaveUp).toMatchObject({ reason: "rate_limited" });
  });
});
