/** Claude Code over the Agent Client Protocol: the real agent and the real CLI against the fake model server. */
import { describeAdapter } from "./adapter-contract.ts";

const provider = "acp";
const agent = "claude-agent-acp";

describeAdapter(provider, {
  order: { providerOptions: { agent } },
  text: "SCN:say:hello:world",
  thought: "SCN:think",
  write: (cwd) => `SCN:write-file FILE:${cwd}/made.txt TEXT:"some words"`,
  content: "some words",
  command: `SCN:bash CMD:"printf 'from the shell'"`,
  todo: "SCN:todo",
  question: "SCN:ask",
  hang: "SCN:hang",
  commandHang: "SCN:bash-hang",
  usage: { prompt: "SCN:think", inputTokens: 2_100, outputTokens: 34 },
  failures: [
    { prompt: "SCN:error:401", reason: "auth_rejected" },
    { prompt: "SCN:error:429", reason: "rate_limited" },
    { prompt: "SCN:error:500", reason: "overloaded" },
    { prompt: "SCN:error:404", reason: "model_not_found" },
    { prompt: "SCN:too-long", reason: "context_exceeded" },
    { prompt: "SCN:empty", reason: "provider_no_output" },
  ],
});
