/** What a provider can do decides whether a run begins, and what it warns of. */
import { expect, test } from "vitest";
import type { PromptInput } from "#protocol/viewer.ts";
import { permission, SessionScript } from "../../support/session-script.ts";

const asking = (prompt: Omit<PromptInput, "text">) => ({
  type: "prompt" as const,
  runId: "run_x",
  messageId: "msg_x",
  prompt: { text: "go", ...prompt },
});

test("[S-45] what the session's own provider cannot do is refused, and nothing has happened", () => {
  const script = SessionScript.created();
  const cursor = script.view.cursor;
  const refused = script.try(asking({ requires: ["resume", "usage"] }));
  expect(refused).toMatchObject({
    ok: false,
    reason: "capability_missing",
    details: { provider: "scripted", missing: ["resume"], able: expect.arrayContaining(["claude-code"]) },
  });
  expect(script.view.cursor).toBe(cursor);
  const options = { agent: "codex-acp", permissionMode: "ask" };
  expect(script.try(asking({ provider: "acp", providerOptions: options }))).toMatchObject({
    ok: false,
    reason: "capability_missing",
    details: { missing: ["humanLoop"] },
  });
});

test("[S-45] what it can do begins; the need itself is not kept", () => {
  const script = SessionScript.created();
  const decided = script.try(asking({ requires: ["usage", "interrupt"] }));
  if (!decided.ok) throw new Error(decided.message);
  expect(decided.events[0]).toMatchObject({ type: "session.prompted", data: { provider: "scripted" } });
  expect(JSON.stringify(decided.events)).not.toContain("requires");
});

test("[S-46] a warning of the host does not end a person's wait", () => {
  const { script, runId } = SessionScript.withRun("running");
  script.runner(runId, permission("req_1"), { type: "run.status", data: { state: "waiting" } });
  const data = { state: "running", detail: "the disk is full", warning: true } as const;
  script.runner(runId, { type: "run.status", data });
  expect(script.run(runId)).toMatchObject({ state: "waiting", warnings: ["the disk is full"] });
});

test("[S-46] a warning stays with its run, once, while other words pass", () => {
  const { script, runId } = SessionScript.withRun("running");
  const data = { state: "running", detail: "begins a new one", warning: true } as const;
  for (let i = 0; i < 2; i++) script.runner(runId, { type: "run.status", data });
  script.runner(runId, { type: "run.status", data: { state: "running", detail: "reading" } });
  expect(script.run(runId)).toMatchObject({ detail: "reading", warnings: ["begins a new one"] });
  script.finish(runId);
  expect(script.run(runId)).toMatchObject({ state: "finished", warnings: ["begins a new one"] });
});
