/** The agent's own conversation: loaded again where it can be, else a new one; and the model it is to use. */
import { messageOf } from "../../failure.ts";
import type { AdapterContext } from "../adapter.ts";
import { type Rpc, RpcError } from "./rpc.ts";
import type { Updates } from "./updates.ts";
import type { InitializeAnswer, SessionAnswer } from "./wire.ts";

type Needs = {
  rpc: Rpc;
  cwd: string;
  updates: Updates;
  context: Pick<AdapterContext, "note" | "warn">;
  capabilities: InitializeAnswer["agentCapabilities"];
};

const NEW = "this run begins a new one.";

/** Answers the agent's name for the conversation. @throws RpcError what the agent says against beginning one */
export async function openSession(
  needs: Needs,
  earlier: string | undefined,
  model: string | undefined,
): Promise<string> {
  const { rpc, cwd, context } = needs;
  const loaded = earlier === undefined ? undefined : await load(needs, earlier);
  const session = loaded ?? (await rpc.request<SessionAnswer>("session/new", { cwd, mcpServers: [] }));
  if (!session.sessionId) throw new RpcError(0, "The agent began a conversation without a name.");
  if (model !== undefined) await choose(rpc, session, model, context);
  return session.sessionId;
}

async function load(
  { rpc, cwd, updates, context, capabilities }: Needs,
  sessionId: string,
): Promise<SessionAnswer | undefined> {
  const canResume = Boolean(capabilities?.sessionCapabilities?.resume);
  const method = capabilities?.loadSession ? "session/load" : canResume ? "session/resume" : undefined;
  if (!method) {
    context.warn(`This agent cannot go on with an earlier conversation; ${NEW}`);
    return undefined;
  }
  updates.replay(true);
  try {
    return { ...(await rpc.request<SessionAnswer>(method, { sessionId, cwd, mcpServers: [] })), sessionId };
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    context.warn(`The earlier conversation is not in this workspace (${messageOf(error)}); ${NEW}`);
    return undefined;
  } finally {
    updates.replay(false);
  }
}

/** Agents that have a choice of models offer it as an option of the session; for the others it is in their environment. */
async function choose(
  rpc: Rpc,
  { sessionId, configOptions }: SessionAnswer,
  model: string,
  { note }: Pick<AdapterContext, "note">,
): Promise<void> {
  const option = configOptions?.find(({ category, id }) => (category ?? id) === "model");
  const values = option?.options?.flatMap(({ value, options }) => [
    value,
    ...(options ?? []).map(({ value }) => value),
  ]);
  const value = values?.find((value) => value === model || value?.endsWith(`/${model}`) === true);
  if (option?.id === undefined || value === undefined) return;
  try {
    await rpc.request("session/set_config_option", { sessionId, configId: option.id, value });
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    note(`The agent did not take the model ${model}: ${messageOf(error)}`);
  }
}
