/**
 * OpenCode: the real CLI as a server, one run at a time, driven through the AI SDK.
 *
 *   streamText ─ ai-sdk-provider-opencode-sdk ─ OpenCode's client ─ opencode serve ─ HTTP ─ forwarder ─ egress proxy
 *
 * Text comes from the AI SDK's stream; what the provider leaves out from the same events, read on their way (Observer).
 */
import { randomUUID } from "node:crypto";
import { type LanguageModel, streamText, toUIMessageStream } from "ai";
import { createOpencode } from "ai-sdk-provider-opencode-sdk";
import type { ProviderRunStart } from "#protocol/runner-api.ts";
import { childEnvironment } from "../../child-environment.ts";
import { classify, evidenceOf, messageOf } from "../../failure.ts";
import type { RunnerOptions } from "../../options.ts";
import type { Adapter, AdapterContext, AdapterEnd } from "../adapter.ts";
import { prepareAgentFolder } from "../agent-folder.ts";
import { cliReadiness } from "../installed-cli.ts";
import { opencodeBinary, ripgrepFolder } from "./binary.ts";
import { alone, connect, type OpencodeClient, type Overheard, overhear } from "./client.ts";
import { opencodeConfig, opencodeEnvironment, type PermissionMode } from "./configuration.ts";
import { Observer } from "./observer.ts";
import { Parts } from "./parts.ts";
import { People } from "./people.ts";
import { KeptServer, type OpencodeServer } from "./server.ts";

const DEFAULT_MODEL = "gpt-5.5";
/** How long after a broken connection the program's exit may be noticed. */
const DEATH_MS = 500;
/** How long it may take to come to rest when it is stopped; its tools may need a moment. */
const REST_MS = 2_000;

export function createOpencodeAdapter(options: Pick<RunnerOptions, "toolkitDir" | "childEnv">): Adapter {
  const binary = opencodeBinary(options.toolkitDir);
  const ripgrep = ripgrepFolder(options.toolkitDir);
  const kept = new KeptServer();
  return {
    provider: "opencode",
    readiness: () => cliReadiness(options.toolkitDir, "opencode", "OpenCode", binary),
    async run(input, context) {
      const { providerUrl } = context;
      if (providerUrl === undefined)
        return failure("This worker has no egress socket: the model cannot be reached.", "container_failed");
      const { mode, ignored } = readOptions(input.providerOptions);
      if (ignored.length > 0) context.note(`Not understood and left out: ${ignored.join(", ")}`);
      const folder = await prepareAgentFolder(input.cwd, "opencode");
      const config = opencodeConfig(input.model ?? DEFAULT_MODEL, providerUrl, mode);
      const base = childEnvironment(process.env, options.childEnv);
      const env = opencodeEnvironment(base, { folder, ripgrep, config });
      const order = { binary, cwd: input.cwd, env, password: randomUUID() };
      const server = await kept.take(order, context);
      let isAtRest = false;
      try {
        const driven = await drive(input, context, server);
        isAtRest = driven.isAtRest;
        return driven.end;
      } finally {
        // A server that may still be at something would go on with it under the next run.
        if (isAtRest) kept.keep(order, server, context);
        else server.stop();
      }
    },
    close: () => kept.close(),
  };
}

type Driven = { end: AdapterEnd; isAtRest: boolean };

async function drive(input: ProviderRunStart, context: AdapterContext, server: OpencodeServer): Promise<Driven> {
  const crash = server.exited.then((words) => ({ produced: false, error: new Error(words) }));
  if (server.url === undefined) {
    if (context.signal.aborted) return atWork({ ok: true });
    return atWork(failure((await crash).error.message));
  }
  const directory = input.cwd;
  const client = await Promise.race([connect(server.url, directory, server.password), crash]);
  if ("error" in client) return atWork(failure(client.error.message));
  const sessionId = await Promise.race([conversation(input, client, context), crash]);
  if (typeof sessionId !== "string") return atWork(failure(sessionId.error.message));
  context.conversation(sessionId);
  const observer = new Observer(context);
  observer.follow(sessionId);
  const people = new People(directory, client, observer, context);
  const overheard = overhear(client, (event) => {
    observer.see(event);
    people.see(event);
  });
  const provider = createOpencode({
    clientManager: alone(overheard.client),
    defaultSettings: { sessionId, directory, logger: false },
  });
  const model = provider(`gantry/${input.model ?? DEFAULT_MODEL}`);
  const gaveUp = observer.gaveUp.then(() => ({ produced: false, error: undefined }));
  const { produced, error } = await Promise.race([pump(model, input.prompt, context, observer), crash, gaveUp]);
  const isAtRest = (observer.ended && !context.signal.aborted) || (await halted(sessionId, client, overheard, context));
  if (observer.usage) context.usage(observer.usage);
  const end = await endOf(produced, error, { context, observer, crash });
  return { end, isAtRest };
}

type Seen = { context: AdapterContext; observer: Observer; crash: Promise<{ error: Error }> };

async function endOf(produced: boolean, error: unknown, { context, observer, crash }: Seen): Promise<AdapterEnd> {
  if (context.signal.aborted) return { ok: true }; // the run knows why
  if (observer.failure) return { ok: false, ...observer.failure };
  // A question makes the provider say an error, though OpenCode goes on after the answer.
  if (error !== undefined && !observer.ended) {
    // When it dies, the connection breaks first; what it died of is the better reason.
    const died = await Promise.race([crash, passed(DEATH_MS, context)]);
    return failure(messageOf(died?.error ?? error));
  }
  if (produced) return { ok: true };
  const evidence = "OpenCode ended without an error and without any output.";
  return { ok: false, reason: "provider_no_output", evidence };
}

/** Stops it; true when it has come to rest, and nothing of this run comes any more. */
function halted(
  sessionID: string,
  client: OpencodeClient,
  { done }: Overheard,
  context: AdapterContext,
): Promise<boolean> {
  const stopped = client.session.abort({ sessionID }, { throwOnError: true }).then(done);
  const rests = stopped.then(
    () => true,
    () => false, // it has gone
  );
  return Promise.race([rests, passed(REST_MS, context).then(() => false)]);
}

function atWork(end: AdapterEnd): Driven {
  return { end, isAtRest: false };
}

/** Goes on with an earlier conversation, or begins one. @throws what OpenCode says against it */
async function conversation(input: ProviderRunStart, client: OpencodeClient, context: AdapterContext): Promise<string> {
  const directory = input.cwd;
  const { conversationId } = input;
  if (conversationId !== undefined) {
    const known = await client.session.get({ sessionID: conversationId, directory });
    if (known.data) return conversationId;
    context.warn("The earlier conversation is not in this workspace; this run begins a new one.");
  }
  const created = await client.session.create({ directory, title: "Gantry" }, { throwOnError: true });
  return created.data.id;
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
      // A tool that failed comes through here, too, as its words; that is not the run's failure.
      if (raised instanceof Error) error ??= raised;
      return messageOf(raised);
    },
  });
  const parts = new Parts((callId) => observer.tool(callId));
  try {
    for await (const chunk of stream) {
      const refined = parts.refine(chunk);
      produced ||= refined?.type === "text-delta" || refined?.type === "tool-input-available";
      if (refined) context.emit(refined);
    }
  } catch (thrown) {
    error ??= thrown;
  }
  return { produced, error };
}

/** An allow-list of `providerOptions`: everything here is safe to be chosen by whoever may start a run. */
function readOptions(options: Readonly<Record<string, unknown>> = {}): { mode: PermissionMode; ignored: string[] } {
  const { permissionMode, timeoutMs: _, ...rest } = options;
  const ignored = Object.keys(rest);
  if (permissionMode === "ask" || permissionMode === "bypass") return { mode: permissionMode, ignored };
  return { mode: "bypass", ignored: permissionMode === undefined ? ignored : ["permissionMode", ...ignored] };
}

function passed(delayMs: number, { clock }: AdapterContext): Promise<undefined> {
  return new Promise((resolve) => void clock.after(delayMs, () => resolve(undefined)));
}

function failure(words: string, reason = classify(words)): AdapterEnd {
  return { ok: false, reason, evidence: evidenceOf(words) };
}
