/** What OpenCode asks, in the conversation and in its sub-agents, as requests to people; answered through its own API. */
import { messageOf } from "../../failure.ts";
import type { AdapterContext } from "../adapter.ts";
import type { Event, OpencodeClient } from "./client.ts";
import type { Observer } from "./observer.ts";

type Permission = Extract<Event, { type: "permission.asked" }>["properties"];
type Questions = Extract<Event, { type: "question.asked" }>["properties"];

export class People {
  readonly #cwd: string;
  readonly #client: OpencodeClient;
  readonly #observer: Observer;
  readonly #context: Pick<AdapterContext, "ask" | "note" | "signal">;

  constructor(
    cwd: string,
    client: OpencodeClient,
    observer: Observer,
    context: Pick<AdapterContext, "ask" | "note" | "signal">,
  ) {
    this.#cwd = cwd;
    this.#client = client;
    this.#observer = observer;
    this.#context = context;
  }

  see(event: Event): void {
    if (event.type === "permission.asked") this.#watch(this.#permit(event.properties));
    if (event.type === "question.asked") this.#watch(this.#question(event.properties));
  }

  /** An answer that does not arrive leaves the agent waiting; people have to know why. */
  #watch(answering: Promise<void>): void {
    answering.catch((error: unknown) => {
      if (!this.#context.signal.aborted) this.#context.note(`OpenCode did not take the answer: ${messageOf(error)}`);
    });
  }

  async #permit({ id, sessionID, permission, patterns, metadata, tool }: Permission): Promise<void> {
    const object = patterns.join(" ");
    const input = this.#observer.tool(tool?.callID ?? "")?.state.input;
    const command = permission === "bash" ? String(input?.command ?? object) : undefined;
    const detail = {
      tool: permission,
      ...(command === undefined ? { path: object, input } : { command }),
      ...(typeof metadata.diff === "string" ? { diff: metadata.diff } : {}),
      cwd: this.#cwd,
      ...(this.#observer.isSubAgent(sessionID) ? { agent: "sub-agent" } : {}),
    };
    const title = `OpenCode wants to use ${permission}`;
    const rule = `${permission}(${command ?? object})`;
    const resolution = await this.#context.ask({ kind: "permission", title, detail, toolCallId: tool?.callID, rule });
    if (this.#context.signal.aborted) return; // what is stopped wants no answer, and would go on with one
    const isAllowed = resolution.decision === "allow";
    // The broker keeps what is allowed for the session: OpenCode's own "always" would be wider than what was shown.
    const reply = isAllowed ? ({ reply: "once" } as const) : ({ reply: "reject", ...reasonOf(resolution) } as const);
    await this.#client.permission.reply({ requestID: id, directory: this.#cwd, ...reply }, { throwOnError: true });
  }

  /** One request per question, one after the other; OpenCode wants the answers together. */
  async #question({ id: requestID, questions, tool }: Questions): Promise<void> {
    const directory = this.#cwd;
    const answers: string[][] = [];
    for (const { question, options, multiple = false } of questions) {
      const offered = options.map(({ label, description }, index) => ({ id: String(index + 1), label, description }));
      const resolution = await this.#context.ask({
        kind: "question",
        title: question,
        detail: { tool: "question" },
        options: offered,
        multiple,
        toolCallId: tool?.callID,
      });
      if (this.#context.signal.aborted) return;
      if (resolution.decision === "answer") {
        answers.push(resolution.answers.map((answer) => offered.find(({ id }) => id === answer)?.label ?? answer));
      } else if (resolution.decision === "deny" && resolution.reason !== undefined) {
        answers.push([resolution.reason]);
      } else {
        await this.#client.question.reject({ requestID, directory }, { throwOnError: true });
        return;
      }
    }
    await this.#client.question.reply({ requestID, directory, answers }, { throwOnError: true });
  }
}

function reasonOf(resolution: { decision: string; reason?: string }): { message?: string } {
  return resolution.reason === undefined ? {} : { message: resolution.reason };
}
