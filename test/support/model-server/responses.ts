/** OpenAI's Responses API as far as Codex uses it, always streamed: text, reasoning summaries, functions, freeform tools. */
import type { ServerResponse } from "node:http";
import type { Conversation, Said } from "./conversation.ts";
import { toNativeTool } from "./native-tools.ts";
import { addFile, OPENAI_USAGE, sendOpenaiError, textOf } from "./openai.ts";
import type { Part, ToolCall } from "./scenarios.ts";
import { gone, sendEvent, type Wire } from "./wire.ts";

export const responsesWire: Wire = {
  serves: (path) => /^(\/v1)?\/responses$/.test(path),
  read,
  async send(response, reply, conversation) {
    if (!("parts" in reply)) return sendOpenaiError(response, reply.status, reply.message);
    return stream(response, reply.parts, conversation);
  },
};

type InputItem = { type?: string; role?: string; content?: unknown; output?: unknown; name?: string };

function read(body: unknown): Conversation {
  const { model, input, tools, instructions } = body as {
    model?: string;
    input?: string | InputItem[];
    tools?: { name?: string; type: string }[];
    instructions?: string;
  };
  const items: InputItem[] = typeof input === "string" ? [{ role: "user", content: input }] : (input ?? []);
  const said = items.flatMap((item): Said[] => {
    const type = item.type ?? "message";
    if (type === "message" && item.role === "user") return [{ role: "user", text: textOf(item.content) }];
    if (type.endsWith("_output")) return [{ role: "user", text: "" }];
    const fromModel = item.role === "assistant" || type === "reasoning" || type.endsWith("_call");
    return fromModel ? [{ role: "assistant", text: textOf(item.content) }] : [];
  });
  return {
    model: model ?? "fake",
    stream: true,
    said,
    toolNames: (tools ?? []).map(({ name, type }) => name ?? type),
    allText: [instructions ?? "", ...items.map(({ content }) => textOf(content))].join("\n"),
  };
}

let answers = 0;

async function stream(response: ServerResponse, parts: readonly Part[], conversation: Conversation): Promise<void> {
  const { model, toolNames } = conversation;
  const id = ++answers;
  let sequence = 0;
  const send = (type: string, data: object) =>
    sendEvent(response, type, { type, sequence_number: sequence++, ...data });
  response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": `req_${id}` });
  const output: object[] = [];
  const whole = (status: string, more: object = {}) => ({
    response: { id: `resp_${id}`, object: "response", created_at: 0, status, model, output, tools: [], ...more },
  });
  await send("response.created", whole("in_progress"));
  for (const [index, part] of parts.entries()) {
    if (part.kind === "hang") return gone(response);
    if (part.kind === "cut") return void response.destroy();
    const item = itemOf(part, id, index, toolNames);
    await send("response.output_item.added", { output_index: index, item: { ...item, ...emptied(part) } });
    for (const delta of deltas(part, String(item.id))) {
      await send(delta.type, { ...delta, output_index: index });
      if (part.kind === "text" && part.everyMs) await new Promise((resolve) => setTimeout(resolve, part.everyMs));
    }
    output.push(item);
    await send("response.output_item.done", { output_index: index, item });
  }
  const { input, cached, reasoning } = OPENAI_USAGE;
  const usage = {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached },
    output_tokens: OPENAI_USAGE.output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + OPENAI_USAGE.output,
  };
  await send("response.completed", whole("completed", { usage }));
  response.end();
}

type Item = Exclude<Part, { kind: "hang" | "cut" }>;

function itemOf(part: Item, id: number, index: number, toolNames: readonly string[]): Record<string, unknown> {
  if (part.kind === "text") {
    const content = [{ type: "output_text", text: part.pieces.join(""), annotations: [] }];
    return { id: `msg_${id}_${index}`, type: "message", role: "assistant", status: "completed", content };
  }
  if (part.kind === "thinking") {
    const summary = [{ type: "summary_text", text: part.pieces.join("") }];
    return { id: `rs_${id}_${index}`, type: "reasoning", summary, encrypted_content: "sealed" };
  }
  return {
    id: `fc_${id}_${index}`,
    call_id: `call_${id}_${index}`,
    status: "completed",
    ...toTool(part.call, toolNames),
  };
}

/** What of an item is not there yet when it is announced. */
function emptied({ kind, ...part }: Item): object {
  if (kind === "text") return { status: "in_progress", content: [] };
  if (kind === "thinking") return { summary: [] };
  return "call" in part && part.call.tool === "write" ? { input: "" } : { arguments: "" };
}

function deltas(part: Item, itemId: string): { type: string }[] {
  if (part.kind === "text")
    return part.pieces.map((delta) => {
      return { type: "response.output_text.delta", item_id: itemId, content_index: 0, delta };
    });
  if (part.kind === "thinking")
    return part.pieces.map((delta) => {
      return { type: "response.reasoning_summary_text.delta", item_id: itemId, summary_index: 0, delta };
    });
  return [];
}

function toTool(call: ToolCall, toolNames: readonly string[]): object {
  const native = toNativeTool(call, toolNames);
  if (!native) return toCodexTool(call);
  return { type: "function_call", name: native.name, arguments: JSON.stringify(native.input) };
}

/** The tools of Codex. A patch is text in a grammar of its own, not JSON. */
function toCodexTool(call: ToolCall): object {
  const custom = (name: string, input: string) => ({ type: "custom_tool_call", name, input });
  const named = (name: string, input: object) => ({ type: "function_call", name, arguments: JSON.stringify(input) });
  switch (call.tool) {
    case "raw": {
      // Some of its tools stand in a namespace.
      const [name = "", namespace] = call.name.split("/").reverse();
      return { ...named(name, call.input), ...(namespace === undefined ? {} : { namespace }) };
    }
    case "write":
      return custom("apply_patch", addFile(call));
    case "bash":
      return named("exec_command", { cmd: call.command });
    case "todo":
      return named("update_plan", { plan: call.items.map(({ text, status }) => ({ step: text, status })) });
    case "ask": {
      const options = call.options.map((label) => ({ label, description: `${label} it is` }));
      return named("request_user_input", {
        questions: [{ id: "choice", header: "Choice", question: call.question, options }],
      });
    }
  }
}
