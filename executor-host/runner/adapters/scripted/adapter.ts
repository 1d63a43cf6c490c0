/** The scripted provider (README.md): the prompt is the program. */
import type { ProviderRunStart } from "#protocol/runner-api.ts";
import { childEnvironment } from "../../child-environment.ts";
import { pause } from "../../clock.ts";
import type { RunnerOptions } from "../../options.ts";
import type { Adapter, AdapterContext, AdapterEnd } from "../adapter.ts";
import { Narrator } from "./narrator.ts";
import { keepRest, takeRest } from "./rest.ts";
import { parseScript, type Step } from "./script.ts";
import { doSmallJob } from "./small-job.ts";
import { Tools } from "./tools.ts";

export function createScriptedAdapter(options: Pick<RunnerOptions, "childEnv">): Adapter {
  const environment = childEnvironment(process.env, options.childEnv);
  return {
    provider: "scripted",
    readiness: () => ({ ready: true, version: "1" }),
    run: (input, context) => runScript(input, context, new Tools(input.cwd, environment, context)),
  };
}

async function runScript(input: ProviderRunStart, context: AdapterContext, tools: Tools): Promise<AdapterEnd> {
  // Only a parked run goes on with what was said before: every other script begins a conversation of its own.
  const goesOn = input.given?.length ? input.conversationId : undefined;
  context.conversation(goesOn ?? `scripted-${input.runId}`);
  const narrator = new Narrator(context);
  const rest = input.given?.length ? await takeRest(input.cwd) : undefined;
  const lines = parseScript(rest ?? input.prompt);
  if (!lines.some(({ step }) => step)) {
    await doSmallJob(input.prompt, context, narrator, tools);
    return { ok: true };
  }
  const performer = new Performer(context, narrator, tools);
  for (const [index, { text, step }] of lines.entries()) {
    if (context.signal.aborted) break;
    if (!step) narrator.say(text);
    else if (step.kind === "fail")
      return { ok: false, reason: step.reason, evidence: `The script said: fail ${step.reason}` };
    else await performer.perform(step);
    // Interrupted while it asked: a later part goes on with the question.
    if (context.signal.aborted && (step?.kind === "ask-permission" || step?.kind === "ask-question"))
      await keepRest(
        input.cwd,
        lines.slice(index).map((line) => line.text),
      );
  }
  return { ok: true };
}

class Performer {
  readonly #context: AdapterContext;
  readonly #narrator: Narrator;
  readonly #tools: Tools;
  #inputTokens = 0;
  #outputTokens = 0;

  constructor(context: AdapterContext, narrator: Narrator, tools: Tools) {
    this.#context = context;
    this.#narrator = narrator;
    this.#tools = tools;
  }

  async perform(step: Exclude<Step, { kind: "fail" }>): Promise<void> {
    const [context, narrator, tools] = [this.#context, this.#narrator, this.#tools];
    switch (step.kind) {
      case "say":
        return narrator.say(step.text);
      case "think":
        return narrator.think(step.text);
      case "stream":
        return this.#stream(step.count, step.everyMs);
      case "write":
        await narrator.tool("write", { path: step.path, text: step.text }, () => tools.write(step.path, step.text));
        return;
      case "read":
        await narrator.tool("read", { path: step.path }, () => tools.read(step.path));
        return;
      case "bash":
        await narrator.tool("bash", { command: step.command }, () => tools.run(step.command));
        return;
      case "todo":
        return context.todos(step.items.map((item, index) => ({ id: String(index + 1), ...item })));
      case "ask-permission":
        return this.#askPermission(step.title);
      case "ask-question":
        return this.#askQuestion(step.text, step.options);
      case "sleep":
        await pause(context.clock, step.ms, context.signal);
        return;
      case "usage":
        this.#inputTokens += step.inputTokens;
        this.#outputTokens += step.outputTokens;
        return context.usage({ inputTokens: this.#inputTokens, outputTokens: this.#outputTokens });
      case "crash":
        process.kill(process.pid, "SIGKILL");
        return untilAborted(context.signal);
      case "hang":
        return untilAborted(context.signal);
      default:
        step satisfies never;
    }
  }

  async #stream(count: number, everyMs: number): Promise<void> {
    const { delta, end } = this.#narrator.open("text");
    for (let i = 1; i <= count && !this.#context.signal.aborted; i++) {
      delta(`${i} `);
      if (everyMs > 0) await pause(this.#context.clock, everyMs, this.#context.signal);
      else if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    end();
  }

  async #askPermission(title: string): Promise<void> {
    const resolution = await this.#context.ask({
      kind: "permission",
      title,
      detail: { tool: "scripted", input: { title }, cwd: this.#tools.cwd },
      rule: `scripted(${title})`,
    });
    if (resolution.decision === "allow") this.#narrator.say(`Allowed: ${title}`);
    else if (resolution.decision === "deny")
      this.#narrator.say(`Denied: ${title}${resolution.reason ? ` (${resolution.reason})` : ""}`);
  }

  async #askQuestion(text: string, labels: string[]): Promise<void> {
    const options = labels.map((label, index) => ({ id: String(index + 1), label }));
    const resolution = await this.#context.ask({ kind: "question", title: text, options });
    if (resolution.decision === "answer") {
      const answers = resolution.answers.map((answer) => options.find(({ id }) => id === answer)?.label ?? answer);
      this.#narrator.say(`Answer: ${answers.join(", ")}`);
    } else if (resolution.decision === "deny") this.#narrator.say(`No answer: ${text}`);
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
