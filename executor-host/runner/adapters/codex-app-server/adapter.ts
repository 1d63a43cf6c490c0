/**
 * Codex: the real CLI as an app server, driven through the AI SDK.
 *
 *   streamText ─ ai-sdk-provider-codex-cli ─ bridge ─ AppServer ─ codex ─ HTTP ─ forwarder ─ host's egress proxy
 *
 * Parts come from the AI SDK's stream; plans, usage, errors and the conversation's name from the messages that pass
 * (Observer). The provider does not notice when Codex dies in the middle of a turn; the exit of the program does.
 */
import { type LanguageModel, streamText, toUIMessageStream } from "ai";
import { createCodexAppServer } from "ai-sdk-provider-codex-cli";
import type { ProviderRunStart } from "#protocol/runner-api.ts";
import { childEnvironment } from "../../child-environment.ts";
import { classify, evidenceOf, messageOf } from "../../failure.ts";
import type { RunnerOptions } from "../../options.ts";
import type { Adapter, AdapterContext, AdapterEnd } from "../adapter.ts";
import { prepareAgentFolder } from "../agent-folder.ts";
import { cliReadiness } from "../installed-cli.ts";
import { AppServer } from "./app-server.ts";
import { codexBinary } from "./binary.ts";
import { codexArguments, codexEnvironment } from "./configuration.ts";
import { hasConversation } from "./conversations.ts";
import { Observer } from "./observer.ts";
import { Parts } from "./parts.ts";
import { People } from "./people.ts";
import { readOptions } from "./settings.ts";

const DEFAULT_MODEL = "gpt-5.5";
/** How long Codex may take to end a turn that was interrupted, before it is ended itself. */
const INTERRUPT_MS = 2_000;

export function createCodexAdapter(options: Pick<RunnerOptions, "toolkitDir" | "childEnv">): Adapter {
  const binary = codexBinary(options.toolkitDir);
  return {
    provider: "codex-app-server",
    readiness: () => cliReadiness(options.toolkitDir, "codex-app-server", "Codex", binary),
    run: (input, context) => runCodex(input, context, binary, childEnvironment(process.env, options.childEnv)),
  };
}

async function runCodex(
  input: ProviderRunStart,
  context: AdapterContext,
  binary: string,
  baseEnvironment: Record<string, string>,
): Promise<AdapterEnd> {
  const { cwd } = input;
  const { providerUrl } = context;
  if (providerUrl === undefined) {
    const evidence = "This worker has no egress socket: the model cannot be reached.";
    return { ok: false, reason: "container_failed", evidence };
  }
  const { settings, ignored } = readOptions(input.providerOptions);
  if (ignored.length > 0) context.note(`Not understood and left out: ${ignored.join(", ")}`);
  const home = await prepareAgentFolder(cwd, "codex-app-server");
  const observer = new Observer(context);
  const people = new People({
    cwd,
    context,
    itemOf: (id) => observer.item(id),
    steer: (threadId, turnId, text) =>
      server.request("turn/steer", { threadId, expectedTurnId: turnId, input: [{ type: "text", text }] }),
  });
  const command = { binary, args: codexArguments(providerUrl), cwd, env: codexEnvironment(baseEnvironment, home) };
  const server: AppServer = await AppServer.start(
    command,
    {
      toCodex: (message) => observer.toCodex(message),
      fromCodex: (message) => {
        observer.fromCodex(message);
        const { id, params } = message;
        // The provider refuses whatever a sub-agent asks: it knows only the thread that it has started.
        if (id === undefined || params?.threadId === observer.threadId) return false;
        const answer = people.answer(message);
        void answer?.then((result) => server.answer(id, result));
        return answer !== undefined;
      },
    },
    context,
  );
  const provider = createCodexAppServer({
    defaultSettings: {
      approvalPolicy: "never",
      summary: "auto",
      ...settings,
      ...(await resumption(input, home, context)),
      ...server.bridge,
      // Codex's own sandbox needs what a sealed container does not give; the container is the sandbox.
      sandboxPolicy: "danger-full-access",
      threadMode: "persistent",
      logger: false,
      serverRequests: {
        onCommandExecutionApproval: ({ params }) => people.command(params),
        onFileChangeApproval: ({ params }) => people.change(params),
        onToolRequestUserInput: ({ params }) => people.questions(params as Parameters<People["questions"]>[0]),
      },
    },
  });
  const crash = server.exited.then((words) => ({ produced: false, error: new Error(words) }));
  const pumped = pump(provider(input.model ?? DEFAULT_MODEL), input.prompt, context, observer);
  const { produced, error } = await Promise.race([pumped, crash]);
  const { aborted } = context.signal;
  if (aborted) await Promise.race([observer.turnEnded, crash, passed(INTERRUPT_MS, context)]);
  await provider.close();
  await server.close({ force: aborted });
  if (observer.usage) context.usage(observer.usage);
  if (aborted) return { ok: true }; // the run knows why
  if (observer.failure) return { ok: false, ...observer.failure };
  if (error !== undefined) {
    const words = messageOf(error);
    return { ok: false, reason: classify(words), evidence: evidenceOf(words) };
  }
  if (produced) return { ok: true };
  const evidence = "Codex ended without an error and without any output.";
  return { ok: false, reason: "provider_no_output", evidence };
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
  // `onError` here would only log; the error is a part of the stream, or thrown out of it.
  const result = streamText({ model, prompt, abortSignal: context.signal, maxRetries: 0, onError: () => {} });
  const stream = toUIMessageStream({
    stream: result.stream,
    sendReasoning: true,
    onError: (raised) => {
      // A tool that failed comes through here, too, as its item; that is not the run's failure.
      if (raised instanceof Error) error ??= raised;
      return messageOf(raised);
    },
  });
  const parts = new Parts(context.clock, (id) => observer.item(id));
  try {
    for await (const chunk of stream) {
      produced ||= chunk.type === "text-delta" || chunk.type === "tool-input-available";
      const refined = parts.refine(chunk);
      if (refined) context.emit(refined);
    }
  } catch (thrown) {
    error ??= thrown;
  }
  return { produced, error };
}

function passed(delayMs: number, { clock }: AdapterContext): Promise<void> {
  return new Promise((resolve) => void clock.after(delayMs, resolve));
}

/** How to go on with an earlier conversation; one that is not on this disk is not asked for, because Codex would fail. */
async function resumption(
  input: ProviderRunStart,
  home: string,
  context: AdapterContext,
): Promise<{ resume?: string }> {
  if (input.conversationId === undefined) return {};
  if (await hasConversation(home, input.conversationId)) return { resume: input.conversationId };
  context.warn("The earlier conversation is not in this workspace; this run begins a new one.");
  return {};
}
