/** Codex over the Agent Client Protocol: the real agent and the real CLI against the fake model server. */
import { describeAdapter, EACH_FAILURE, SCENARIOS, THOUGHT } from "./adapter-contract.ts";
import { sharedWorker } from "./support/shared-worker.ts";

describeAdapter(sharedWorker(), "acp", {
  ...SCENARIOS,
  order: { providerOptions: { agent: "codex-acp" } },
  content: "some words\n", // a patch is made of whole lines
  usage: { prompt: THOUGHT, inputTokens: 1_200, outputTokens: 34 },
  failures: EACH_FAILURE,
  lost: "codex-acp:00000000-0000-4000-8000-000000000000",
});
