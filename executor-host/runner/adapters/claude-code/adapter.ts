/**
 * Claude Code: the real CLI, driven through the AI SDK.
 *
 *   streamText ─ ai-sdk-provider-claude-code ─ Agent SDK ─ stdio ─ claude ─ HTTP ─ forwarder ─ host's egress proxy
 *
 * Parts come from the AI SDK's stream; the conversation's name, usage and errors from the CLI's own messages (Observer),
 * because those also come when a run is cut short.
 */
import { type LanguageModel, streamText, toUIMessageStream } from "ai";
import type { ClaudeCodeSettings } from "ai-sdk-provider-claude-code";
import type { ProviderRunStart } from "#protocol/runner-api.ts";
import type { FailureReason } from "#protocol/vocabulary.ts";
import { childEnvironment } from "../../child-environment.ts";
import { classify, evidenceOf, messageOf } from "../../failure.ts";
import type { RunnerOptions } from "../../options.ts";
import type { Adapter, AdapterContext, AdapterEnd } from "../adapter.ts";
import { prepareAgentFolder } from "../agent-folder.ts";
import { cliReadiness } from "../installed-cli.ts";
import { claudeBinary } from "./binary.ts";
import { createCliProcess } from "./cli-process.ts";
import { findConversation } from "./conversations.ts";
import { claudeEnvironment } from "./environment.ts";
import { Observer } from "./observer.ts";
import { Parts } from "./parts.ts";
import { createCanUseTool } from "./permissions.ts";
import { readOptions } from "./settings.ts";
import { todosOf } from "./todos.ts";

const DEFAULT_MODEL = "sonnet";

export function createClaudeCodeAdapter(options: Pick<RunnerOptions, "toolkitDir" | "childEnv">): Adapter {
  const binary = claudeBinary(options.toolkitDir);
  return {
    provider: "claude-code",
    readiness: () => cliReadiness(options.toolkitDir, "claude-code", "Claude Code", binary),
    run: (input, context) => runClaude(input, context, binary, childEnvironment(process.env, options.childEnv)),
  };
}

async function runClaude(
  input: ProviderRunStart,
  context: AdapterContext,
  binary: string,
  baseEnvironment: Record<string, string>,
): Promise<AdapterEnd> {
  const { cwd } = input;
  const { providerUrl } = context;
  if (providerUrl === undefined)
    return failure("container_failed", "This worker has no egress socket: the model cannot be reached.");
  const { settings, ignored } = readOptions(input.providerOptions);
  if (ignored.length > 0) context.note(`Not understood and left out: ${ignored.join(", ")}`);
  const configDir = await prepareAgentFolder(cwd, "claude");
  const observer = new Observer(context.conversation, context.note);
  const env = claudeEnvironment(baseEnvironment, { configDir, providerUrl });
  const cli = createCliProcess(cwd, env, context);
  // Loaded by the first run that needs it: half of what a runner takes to start.
  const { createClaudeCode } = await import("ai-sdk-provider-claude-code");
  const provider = createClaudeCode({
    defaultSettings: {
      permissionMode: "bypassPermissions",
      allowDangerouslySkipPermissions: true,
      systemPrompt: { type: "preset", preset: "claude_code" },
      settingSources: ["user", "project", "local"],
      ...settings,
      ...(await resumption(input, configDir, context, observer)),
      cwd,
      env,
      pathToClaudeCodeExecutable: binary,
      includePartialMessages: true,
      logger: false,
      // The run's own bound cuts tool output; the provider's would cut it sooner.
      maxToolResultSize: 1_000_000,
      canUseTool: createCanUseTool(cwd, context),
      onSdkMessage: (message) => observer.see(message),
      spawnClaudeCodeProcess: cli.spawn,
    },
  });
  const { produced, error } = await pump(provider(input.model ?? DEFAULT_MODEL), input.prompt, context, observer);
  if (observer.usage) context.usage(observer.usage);
  if (context.signal.aborted) return { ok: true }; // the run knows why
  if (observer.failure) return { ok: false, ...observer.failure };
  if (error !== undefined) {
    const words = [messageOf(error), cli.stderrTail()].filter(Boolean).join("\n");
    return failure(classify(words), evidenceOf(words));
  }
  if (!produced) return failure("provider_no_output", "Claude Code ended without an error and without any output.");
  return { ok: true };
}

/** Sends the model's stream into the run. Answers whether there was anything to see, and the stream's error if it had one. */
async function pump(
  model: LanguageModel,
  prompt: string,
  context: AdapterContext,
  observer: Observer,
): Promise<{ produced: boolean; error: unknown }> {
  let produced = false;
  let error: unknown;
  // `onError` here would only log; the error is a part of the stream, too.
  const result = streamText({ model, prompt, abortSignal: context.signal, maxRetries: 0, onError: () => {} });
  const stream = toUIMessageStream({
    stream: result.stream,
    sendReasoning: true,
    onError: (raised) => {
      error ??= raised;
      return messageOf(raised);
    },
  });
  const parts = new Parts();
  for await (const chunk of stream) {
    // The CLI's error text is evidence, not something the assistant said.
    if (observer.saidError && chunk.type.startsWith("text-")) continue;
    produced ||= chunk.type === "text-delta" || chunk.type === "tool-input-available";
    const todos =
      chunk.type === "tool-input-available" && chunk.toolName === "TodoWrite" ? todosOf(chunk.input) : undefined;
    if (todos) context.todos(todos);
    const refined = parts.refine(chunk);
    if (refined) context.emit(refined);
  }
  return { produced, error };
}

function failure(reason: FailureReason, evidence: string): AdapterEnd {
  return { ok: false, reason, evidence };
}

/** How to go on with an earlier conversation; one that is not on this disk is not asked for, because the CLI would fail. */
async function resumption(
  input: ProviderRunStart,
  configDir: string,
  context: AdapterContext,
  observer: Observer,
): Promise<Pick<ClaudeCodeSettings, "resume">> {
  if (input.conversationId === undefined) return {};
  const before = await findConversation(configDir, input.conversationId);
  if (!before) {
    context.warn("The earlier conversation is not in this workspace; this run begins a new one.");
    return {};
  }
  observer.before = before;
  return { resume: input.conversationId };
}
