/** Claude Code over the Agent Client Protocol: the real agent and the real CLI against the fake model server. */
import { describeAdapter, MODEL_FAILURES } from "./adapter-contract.ts";

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
  leave: 'SCN:insist CMD:"touch made"',
  failures: MODEL_FAILURES,
});
