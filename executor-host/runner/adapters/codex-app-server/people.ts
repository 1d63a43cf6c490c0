/**
 * What Codex asks, as requests to people: leave for commands and changes of files, and its own questions. Its answer to a
 * refused request has no place for a reason; that is said to the running turn instead.
 */
import { randomUUID } from "node:crypto";
import type { AdapterContext } from "../adapter.ts";
import type { Message } from "./app-server.ts";
import { changesOf, type Item } from "./items.ts";

type Needs = {
  cwd: string;
  context: Pick<AdapterContext, "ask" | "emit">;
  itemOf: (id: string) => Item | undefined;
  /** Says something to the turn that asked. */
  steer: (threadId: string, turnId: string, text: string) => void;
};

/** The parameters of a request; which are there depends on its method. */
type Params = {
  threadId?: string;
  turnId?: string;
  itemId?: string;
  command?: string | null;
  cwd?: string | null;
  reason?: string | null;
  grantRoot?: string | null;
  questions?: Question[];
};
type Question = { id: string; question: string; options?: { label: string; description?: string }[] | null };
type Decision = { decision: "accept" | "decline" | "cancel" };
type Answers = { answers: Record<string, { answers: string[] }> };

export class People {
  readonly #needs: Needs;

  constructor(needs: Needs) {
    this.#needs = needs;
  }

  /** The result for a request of Codex that is for people; undefined for any other. */
  answer({ method, params }: Message): Promise<Decision | Answers> | undefined {
    switch (method) {
      case "item/commandExecution/requestApproval":
        return this.command((params ?? {}) as Params);
      case "item/fileChange/requestApproval":
        return this.change((params ?? {}) as Params);
      case "item/tool/requestUserInput":
        return this.questions((params ?? {}) as Params);
      default:
        return undefined;
    }
  }

  command(params: Params): Promise<Decision> {
    const item = this.#needs.itemOf(params.itemId ?? "");
    const command = params.command ?? String(item?.command ?? "");
    const detail = { tool: "exec", command, cwd: params.cwd ?? this.#needs.cwd, reason: params.reason };
    return this.#decide(params, "Codex wants to run a command", detail, `exec(${command})`);
  }

  change(params: Params): Promise<Decision> {
    const changes = changesOf(this.#needs.itemOf(params.itemId ?? "") ?? {});
    const detail = { tool: "patch", changes, cwd: this.#needs.cwd, reason: params.reason, grantRoot: params.grantRoot };
    const paths = changes.map(({ path }) => path).join(", ");
    // What is allowed is to change these files, not this one diff: the next one to them would otherwise be asked again.
    return this.#decide(params, "Codex wants to change files", detail, `patch(${paths || "*"})`);
  }

  /** Codex shows its questions nowhere else: they get a card, as every other tool. */
  async questions(params: Params): Promise<Answers> {
    const { itemId: toolCallId = randomUUID(), questions = [] } = params;
    const call = { toolCallId, toolName: "request_user_input", providerExecuted: true, dynamic: true };
    this.#needs.context.emit({
      type: "tool-input-available",
      ...call,
      input: { question: questions[0]?.question, questions },
    });
    const output = await this.#ask(toolCallId, questions);
    this.#needs.context.emit({
      type: "tool-output-available",
      toolCallId,
      output,
      providerExecuted: true,
      dynamic: true,
    });
    return output;
  }

  /** One request per question, one after the other; Codex wants the answers together. */
  async #ask(toolCallId: string, questions: readonly Question[]): Promise<Answers> {
    const answers: Answers["answers"] = {};
    for (const { id, question, options } of questions) {
      const offered = (options ?? []).map(({ label, description }, index) => ({
        id: String(index + 1),
        label,
        description,
      }));
      const detail = { tool: "request_user_input" };
      const request = { kind: "question", title: question, detail, options: offered, toolCallId } as const;
      const resolution = await this.#needs.context.ask(request);
      if (resolution.decision === "answer") {
        const labels = resolution.answers.map(
          (answer) => offered.find((option) => option.id === answer)?.label ?? answer,
        );
        answers[id] = { answers: labels };
      } else if (resolution.decision === "deny") {
        answers[id] = { answers: [resolution.reason ?? "The user does not want to answer. Decide yourself."] };
      } else return { answers };
    }
    return { answers };
  }

  async #decide(params: Params, title: string, detail: Record<string, unknown>, rule: string): Promise<Decision> {
    const { itemId: toolCallId, threadId, turnId } = params;
    const resolution = await this.#needs.context.ask({ kind: "permission", title, detail, toolCallId, rule });
    if (resolution.decision === "allow") return { decision: "accept" };
    if (resolution.decision !== "deny") return { decision: "cancel" };
    if (resolution.reason !== undefined && threadId && turnId)
      this.#needs.steer(threadId, turnId, `The user refused this: ${resolution.reason}`);
    return { decision: "decline" };
  }
}
