/**
 * What an agent asks, as requests to people: leave for tools, and forms (elicitation) for its own questions. The protocol
 * has no place for why a request was refused; the reasons are kept, and said to the agent when its turn has ended.
 */
import type { AdapterContext } from "../adapter.ts";
import type { PermissionMode } from "./settings.ts";
import { changesOf, inputOf, nameOf } from "./tool-calls.ts";
import type { Updates } from "./updates.ts";
import type { ElicitationRequest, Field, PermissionRequest } from "./wire.ts";

type Needs = {
  agent: string;
  cwd: string;
  mode: PermissionMode;
  context: Pick<AdapterContext, "ask" | "signal">;
  updates: Updates;
};
type Outcome = { outcome: { outcome: "selected"; optionId: string } | { outcome: "cancelled" } };
type Filled = { action: "accept"; content: Record<string, unknown> } | { action: "decline" | "cancel" };
type Choice = { const?: string; title?: string; description?: string | null };

export class People {
  readonly #needs: Needs;
  readonly #reasons: string[] = [];

  constructor(needs: Needs) {
    this.#needs = needs;
  }

  /** What has to be said to the agent about what was refused; empty afterwards. */
  takeReasons(): string[] {
    return this.#reasons.splice(0);
  }

  async permission({ toolCall = {}, options = [] }: PermissionRequest): Promise<Outcome> {
    const { agent, cwd, mode, context, updates } = this.#needs;
    updates.seeCall(toolCall);
    const optionFor = (verb: "allow" | "reject") =>
      options.find(({ kind }) => kind === `${verb}_once`) ?? options.find(({ kind }) => kind?.startsWith(verb));
    if (mode === "bypass") return selected(optionFor("allow")?.optionId);
    const call = updates.call(toolCall.toolCallId ?? "") ?? toolCall;
    const [name, input] = [nameOf(call), inputOf(call)];
    const [change] = changesOf(call.content);
    const command = typeof input.command === "string" ? input.command : undefined;
    const object = command ?? change?.path ?? (input.file_path as string) ?? (input.path as string);
    const resolution = await context.ask({
      kind: "permission",
      title: `${agent} wants to use ${name}`,
      detail: { tool: name, cwd, ...(command === undefined ? { input } : { command }), ...change },
      toolCallId: toolCall.toolCallId,
      rule: `${name}(${typeof object === "string" ? object : "*"})`,
    });
    if (resolution.decision === "allow") return selected(optionFor("allow")?.optionId);
    if (resolution.decision !== "deny") return { outcome: { outcome: "cancelled" } };
    if (toolCall.toolCallId !== undefined) updates.deny(toolCall.toolCallId);
    if (resolution.reason !== undefined) this.#reasons.push(`The user refused ${name}: ${resolution.reason}`);
    return selected(optionFor("reject")?.optionId);
  }

  /** One request per field that is a choice, one after the other; a form without choices is asked field by field. */
  async form({ mode, message = "", toolCallId, requestedSchema }: ElicitationRequest): Promise<Filled> {
    if (mode !== undefined && mode !== "form") return { action: "decline" };
    const fields = Object.entries(requestedSchema?.properties ?? {});
    const required = requestedSchema?.required ?? [];
    const choices = fields.filter(([key, field]) => required.includes(key) || optionsOf(field).length > 0);
    const content: Record<string, unknown> = {};
    for (const [key, field] of choices.length > 0 ? choices : fields) {
      const offered = optionsOf(field).map((option, index) => ({
        id: String(index + 1),
        label: option.title ?? option.const ?? "",
        value: option.const,
        description: option.description ?? undefined,
      }));
      const resolution = await this.#needs.context.ask({
        kind: "question",
        title: questionOf(field, message),
        detail: { tool: "question" },
        options: offered.map(({ value: _, ...option }) => option),
        multiple: field.type === "array",
        toolCallId: toolCallId ?? undefined,
      });
      if (resolution.decision === "deny") {
        if (resolution.reason !== undefined)
          this.#reasons.push(`The user's answer to your question: ${resolution.reason}`);
        return { action: "decline" };
      }
      if (resolution.decision !== "answer") return { action: "cancel" };
      const known = resolution.answers.flatMap((answer) => offered.find(({ id }) => id === answer)?.value ?? []);
      const own = resolution.answers.filter((answer) => !offered.some(({ id }) => id === answer));
      if (known.length > 0) content[key] = fieldValue(field, known);
      // Words of one's own, where the form has a field for them beside the choice.
      const ownKey = requestedSchema?.properties?.[`${key}_custom`] ? `${key}_custom` : key;
      if (own.length > 0) content[ownKey] = ownKey === key ? fieldValue(field, own) : own.join(", ");
    }
    return { action: "accept", content };
  }
}

function selected(optionId: string | undefined): Outcome {
  return { outcome: optionId === undefined ? { outcome: "cancelled" } : { outcome: "selected", optionId } };
}

/** In a form of one question its words are the form's message; else they are the field's. */
function questionOf({ title, description }: Field, message: string): string {
  return description || message || title || "The agent asks";
}

function optionsOf({ type, enum: names, oneOf, items }: Field): Choice[] {
  if (type === "boolean")
    return [
      { const: "true", title: "Yes" },
      { const: "false", title: "No" },
    ];
  return oneOf ?? items?.anyOf ?? (names ?? items?.enum ?? []).map((name) => ({ const: name }));
}

function fieldValue({ type }: Field, values: readonly string[]): unknown {
  const [first = ""] = values;
  if (type === "array") return values;
  if (type === "boolean") return first === "true";
  return type === "number" || type === "integer" ? Number(first) : first;
}
