/**
 * Any agent that speaks the Agent Client Protocol, as a program of the run:
 *
 *   Connection ─ stdio ─ agent ─ HTTP ─ forwarder ─ host's egress proxy
 *    ├─ Updates    what it says, as chunks and to-do lists
 *    ├─ People     what it asks
 *    └─ Workspace  what it wants done for it
 *
 * Which agents there are: `agents.ts`. Why the protocol's own package is not used: durable/decisions/0012.
 */
import type { ProviderRunStart } from "#protocol/runner-api.ts";
import type { FailureReason } from "#protocol/vocabulary.ts";
import { childEnvironment } from "../../child-environment.ts";
import { classify, evidenceOf, messageOf } from "../../failure.ts";
import type { RunnerOptions } from "../../options.ts";
import type { Adapter, AdapterContext, AdapterEnd, AdapterReadiness } from "../adapter.ts";
import { prepareAgentFolder } from "../agent-folder.ts";
import { type Agent, agentsOf, isInstalled } from "./agents.ts";
import { Connection, KeptConnection } from "./connection.ts";
import { costBefore, keepCost } from "./costs.ts";
import { ASKS_FOR_FAILURES, Attempts, endOf, toldFailure } from "./failures.ts";
import { People } from "./people.ts";
import { RpcError } from "./rpc.ts";
import { openSession } from "./session.ts";
import { type AcpSettings, readOptions } from "./settings.ts";
import { Spending } from "./spending.ts";
import { Updates } from "./updates.ts";
import { PROTOCOL_VERSION, type PromptAnswer, type Update } from "./wire.ts";
import { Workspace } from "./workspace.ts";

/** How long an agent may take to end a turn that was cancelled, before it is ended itself. */
const CANCEL_MS = 2_000;
/** How often reasons of refusals are told in one run. */
const MAX_FOLLOW_UPS = 10;

const CAPABILITIES = {
  ...{ fs: { readTextFile: true, writeTextFile: true }, terminal: true, elicitation: { form: {} } },
  // Commands that an agent runs by itself are shown by a convention that it wants to be asked for, too.
  _meta: { ...ASKS_FOR_FAILURES, terminal_output: true },
};

type Options = Pick<RunnerOptions, "toolkitDir" | "childEnv">;

export function createAcpAdapter(options: Options): Adapter {
  const kept = new KeptConnection();
  return {
    provider: "acp",
    readiness: () => readiness(options.toolkitDir),
    run: (input, context) => runAcp(input, context, options, kept),
    close: () => kept.close(),
  };
}

function readiness(toolkitDir: string): AdapterReadiness {
  if (agentsOf(toolkitDir).some(isInstalled)) return { ready: true };
  return { ready: false, failure: { reason: "cli_missing", evidence: `No agent is installed on this host. ${HOW}` } };
}

const HOW = "The Hosts page shows the command that installs one.";

async function runAcp(
  input: ProviderRunStart,
  context: AdapterContext,
  options: Options,
  kept: KeptConnection,
): Promise<AdapterEnd> {
  const { cwd } = input;
  const { providerUrl } = context;
  if (providerUrl === undefined)
    return failure("container_failed", "This worker has no egress socket: the model cannot be reached.");
  const agents = agentsOf(options.toolkitDir);
  const names = agents.map(({ name }) => name);
  const { settings, ignored } = readOptions(input.providerOptions, input.model, names);
  if (ignored.length > 0) context.note(`Not understood and left out: ${ignored.join(", ")}`);
  const agent =
    settings.agent === undefined ? agents.find(isInstalled) : agents.find(({ name }) => name === settings.agent);
  if (!agent) return failure("cli_missing", `There is no agent ${settings.agent} here; known are ${names.join(", ")}.`);
  if (!isInstalled(agent)) {
    const packages = agent.packages.join(" and ");
    return failure("cli_missing", `${agent.name} is not installed on this host: it needs ${packages}. ${HOW}`);
  }
  const environment = childEnvironment(process.env, options.childEnv);
  const folder = await prepareAgentFolder(cwd, `acp-${agent.name}`);
  const command = agent.command({
    toolkitDir: options.toolkitDir,
    workspace: cwd,
    folder,
    providerUrl: (name) => providerUrl.replace(/[^/]+$/, name),
    model: settings.model,
    asks: settings.permissionMode === "ask",
    environment,
  });
  const attempts = new Attempts();
  const connection = kept.take(command, cwd, context) ?? new Connection(agent.name, command, cwd, context);
  connection.program.onLine = (line) => {
    const words = agent.troubleIn?.(line);
    if (words === undefined) return;
    context.note(`The model server did not answer (${words}); trying again.`);
    attempts.failed(words);
  };
  try {
    return await drive({
      input,
      context,
      agent,
      folder,
      settings,
      connection,
      attempts,
      workspace: new Workspace(cwd, environment, context),
    });
  } finally {
    if (agent.stays && connection.rpc.isIdle) kept.keep(connection, command, cwd, context);
    else await connection.program.leave();
  }
}

type Talk = {
  input: ProviderRunStart;
  context: AdapterContext;
  agent: Agent;
  /** The agent's own, in the workspace. */
  folder: string;
  settings: AcpSettings;
  connection: Connection;
  attempts: Attempts;
  workspace: Workspace;
};

async function drive(talk: Talk): Promise<AdapterEnd> {
  const { input, context, agent, settings, connection, attempts, workspace } = talk;
  const earlier = earlierOf(input.conversationId, agent.name, context);
  const updates = new Updates(context);
  const people = new People({ agent: agent.name, cwd: input.cwd, mode: settings.permissionMode, context, updates });
  connection.rpc.serve({
    request: (method, params) => {
      if (method === "session/request_permission") return people.permission(params);
      if (method === "elicitation/create") return people.form(params);
      return workspace.serve(method, params);
    },
    notification: (method, { sessionId, update }) => {
      if (method !== "session/update" || typeof update !== "object") return;
      if (connection.isPast(sessionId)) return;
      const seen = (update ?? {}) as Update;
      updates.see(seen);
      if (seen.sessionUpdate === "tool_call_update" && seen.status === "completed") attempts.progressed();
      const told = toldFailure(seen._meta);
      if (told?.severity === "warning" && told.title) context.note(told.title);
    },
  });
  const spending = new Spending();
  let end: AdapterEnd | undefined;
  try {
    end = await converse(talk, { earlier, updates, people, spending });
  } catch (error) {
    end = failureOf(error, agent.troubleIn ? "" : connection.program.stderr);
  }
  updates.close();
  const usage = spending.usage(updates.costUsd);
  if (usage) context.usage(usage);
  if (context.signal.aborted) return { ok: true }; // the run knows why
  if (end) return end;
  if (updates.produced) return { ok: true };
  return failure("provider_no_output", `${agent.name} ended without an error and without any output.`);
}

type Parts = { earlier: string | undefined; updates: Updates; people: People; spending: Spending };

/** From the first word to the last. Answers a failure that the agent names, undefined when all was said. @throws RpcError */
async function converse(talk: Talk, { earlier, updates, people, spending }: Parts): Promise<AdapterEnd | undefined> {
  const { input, context, agent, folder, settings, connection, attempts } = talk;
  const { rpc } = connection;
  const clientInfo = { name: "gantry", title: "Gantry", version: "1" };
  const hello = { protocolVersion: PROTOCOL_VERSION, clientCapabilities: CAPABILITIES, clientInfo };
  const { agentCapabilities: capabilities } = await unlessStopped(connection.initialize(hello), context);
  const needs = { rpc, cwd: input.cwd, updates, context, capabilities };
  const sessionId = await unlessStopped(openSession(needs, earlier, settings.model), context);
  connection.begin(sessionId);
  updates.costBefore = await costBefore(folder, sessionId);
  context.conversation(`${agent.name}:${sessionId}`);
  const cancel = () => rpc.notify("session/cancel", { sessionId });
  context.signal.addEventListener("abort", cancel, { once: true });
  for (let text = input.prompt, turn = 0; turn <= MAX_FOLLOW_UPS; turn++) {
    const asked = rpc.request<PromptAnswer>("session/prompt", { sessionId, prompt: [{ type: "text", text }] });
    const answer = await unlessStopped(Promise.race([asked, attempts.gaveUp]), context, CANCEL_MS);
    if ("reason" in answer) {
      cancel();
      await Promise.race([Promise.allSettled([asked]), passed(CANCEL_MS, context)]);
      return { ok: false, ...answer };
    }
    const { stopReason, usage, _meta } = answer;
    spending.add(usage);
    if (updates.wholeCostUsd !== undefined) await keepCost(folder, sessionId, updates.wholeCostUsd);
    const failed = endOf(toldFailure(_meta));
    if (failed) return { ok: false, ...failed };
    if (stopReason === "max_tokens")
      return failure("context_exceeded", "The agent stopped: its context window is full.");
    if (stopReason === "refusal") context.note("The model refused to go on.");
    if (stopReason === "max_turn_requests") context.note("The agent stopped after as many turns as it may take.");
    text = people.takeReasons().join("\n");
    if (text === "" || context.signal.aborted) break;
  }
  return undefined;
}

function passed(delayMs: number, { clock }: AdapterContext): Promise<void> {
  return new Promise((resolve) => void clock.after(delayMs, resolve));
}

/** What comes, but not much longer than the run is wanted. */
function unlessStopped<T>(coming: Promise<T>, { signal, clock }: AdapterContext, graceMs = 0): Promise<T> {
  const stopped = new Promise<never>((_, reject) => {
    const stop = () => clock.after(graceMs, () => reject(new Error("The run is being stopped.")));
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  return Promise.race([coming, stopped]);
}

/** The conversation's name says whose it is: another agent cannot go on with it. */
function earlierOf(conversationId: string | undefined, agent: string, { warn }: AdapterContext): string | undefined {
  if (conversationId === undefined) return undefined;
  if (conversationId.startsWith(`${agent}:`)) return conversationId.slice(agent.length + 1);
  warn("The earlier conversation was another agent's; this run begins a new one.");
  return undefined;
}

/** @param stderr what it printed, where that may say why */
function failureOf(error: unknown, stderr: string): AdapterEnd {
  const data = error instanceof RpcError && error.data !== undefined ? JSON.stringify(error.data) : "";
  const words = [messageOf(error), data, error instanceof RpcError ? stderr : ""].filter(Boolean).join("\n");
  return failure(classify(words), words);
}

function failure(reason: FailureReason, evidence: string): AdapterEnd {
  return { ok: false, reason, evidence: evidenceOf(evidence) };
}
