/**
 * Gantry's own agent: a loop on the AI SDK, with no CLI behind it.
 *
 *   streamText ─ @ai-sdk/<vendor> ─ HTTP ─ forwarder ─ host's egress proxy
 *       └─ tools ─ the workspace, through the run's own processes and people
 *
 * The conversation is a file in the workspace (Conversation).
 */
import { isStepCount, type LanguageModel, streamText, toUIMessageStream } from "ai";
import type { ProviderRunStart } from "#protocol/runner-api.ts";
import type { FailureReason } from "#protocol/vocabulary.ts";
import { childEnvironment } from "../../child-environment.ts";
import { evidenceOf, messageOf } from "../../failure.ts";
import type { RunnerOptions } from "../../options.ts";
import type { Adapter, AdapterContext, AdapterEnd } from "../adapter.ts";
import { prepareAgentFolder } from "../agent-folder.ts";
import { patientFetch } from "../patient-fetch.ts";
import { Conversation } from "./conversation.ts";
import { failureOf } from "./failure.ts";
import { instructions, userMessage } from "./instructions.ts";
import { openModel, parseModel } from "./models.ts";
import { Parts } from "./parts.ts";
import { type NativeSettings, readOptions } from "./settings.ts";
import { Spending } from "./spending.ts";
import { createTools } from "./tools.ts";

const DEFAULT_MODEL = "openai/gpt-5.5";

export function createNativeAdapter(options: Pick<RunnerOptions, "childEnv">): Adapter {
  return {
    provider: "native",
    readiness: () => ({ ready: true }),
    run: (input, context) => runNative(input, context, childEnvironment(process.env, options.childEnv)),
  };
}

async function runNative(
  input: ProviderRunStart,
  context: AdapterContext,
  env: Record<string, string>,
): Promise<AdapterEnd> {
  const { providerUrl } = context;
  if (providerUrl === undefined)
    return failure("container_failed", "This worker has no egress socket: the model cannot be reached.");
  const name = parseModel(input.model ?? DEFAULT_MODEL);
  if (!name) {
    const evidence = `There is no model ${input.model} here. Name it as anthropic/…, openai/… or compatible/….`;
    return failure("model_not_found", evidence);
  }
  const { settings, ignored } = readOptions(input.providerOptions);
  if (ignored.length > 0) context.note(`Not understood and left out: ${ignored.join(", ")}`);
  const conversation = await conversationOf(input, await prepareAgentFolder(input.cwd, "native"), context);
  context.conversation(conversation.id);
  const model = await openModel(name, providerUrl, patientFetch as typeof fetch);
  const { produced, error } = await converse({ input, context, env, settings, conversation, model });
  if (context.signal.aborted) return { ok: true }; // the run knows why
  if (error !== undefined) return { ok: false, ...failureOf(error) };
  if (!produced) return failure("provider_no_output", "The model ended without an error and without any output.");
  return { ok: true };
}

type Talk = {
  input: ProviderRunStart;
  context: AdapterContext;
  env: Record<string, string>;
  settings: NativeSettings;
  conversation: Conversation;
  model: LanguageModel;
};

/** The loop. Answers whether there was anything to see, and the error that ended it if one did. */
async function converse(talk: Talk): Promise<{ produced: boolean; error: unknown }> {
  const { input, context, env, settings, conversation, model } = talk;
  await conversation.add([userMessage(input.prompt)]);
  const { messages, leftOut } = conversation.recent();
  if (leftOut > 0) context.note(`The first ${leftOut} messages of this long conversation are left out.`);
  const refused = new Set<string>();
  const spending = new Spending();
  let [produced, turns] = [false, 0];
  let error: unknown;
  const result = streamText({
    model,
    messages,
    instructions: await instructions(input.cwd, settings.appendSystemPrompt),
    tools: createTools({
      ...{ cwd: input.cwd, env, mode: settings.permissionMode, context },
      refused: (toolCallId) => refused.add(toolCallId),
    }),
    // Two changes at once may be to the same file, and a command may need what the one before it made.
    toolCallConcurrency: 1,
    stopWhen: isStepCount(settings.maxTurns),
    maxRetries: settings.maxRetries,
    reasoning: settings.effort,
    abortSignal: context.signal,
    // What was said before is not paid in full again; other vendors do this by themselves.
    providerOptions: { anthropic: { cacheControl: { type: "ephemeral" } } },
    onStepEnd: async ({ usage, response }) => {
      turns++;
      context.usage(spending.add(usage));
      await conversation.add(response.messages);
    },
    onError: ({ error: raised }) => {
      error ??= raised;
    },
  });
  const parts = new Parts(refused);
  // Its `onError` makes the words of tools that failed, which are for the agent and not the run's failure.
  const stream = toUIMessageStream({ stream: result.stream, sendReasoning: true, onError: messageOf });
  try {
    for await (const chunk of stream) {
      produced ||= chunk.type === "text-delta" || chunk.type === "tool-input-available";
      context.emit(parts.refine(chunk));
    }
  } catch (thrown) {
    error ??= thrown;
  }
  if (turns >= settings.maxTurns) context.note(`Stopped after ${turns} turns, as the run's options say.`);
  return { produced, error };
}

/** Goes on with an earlier conversation, or begins one. */
async function conversationOf(input: ProviderRunStart, folder: string, context: AdapterContext): Promise<Conversation> {
  if (input.conversationId !== undefined) {
    const known = await Conversation.resume(folder, input.conversationId);
    if (known) return known;
    context.warn("The earlier conversation is not in this workspace; this run begins a new one.");
  }
  return Conversation.begin(folder);
}

function failure(reason: FailureReason, evidence: string): AdapterEnd {
  return { ok: false, reason, evidence: evidenceOf(evidence) };
}
