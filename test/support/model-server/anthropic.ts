/** The Anthropic Messages API, as far as an agent uses it: streamed and whole answers, tools, thinking, errors. */
import type { ServerResponse } from "node:http";
import type { Conversation, Said } from "./conversation.ts";
import { toNativeTool } from "./native-tools.ts";
import type { Part, ToolCall } from "./scenarios.ts";
import { gone, sendEvent, type Wire } from "./wire.ts";

export const anthropicWire: Wire = {
  serves: (path) => path === "/v1/messages",
  read,
  async send(response, reply, conversation) {
    if (!("parts" in reply)) return sendError(response, reply.status, reply.message);
    if (conversation.stream) return stream(response, reply.parts, conversation);
    return whole(response, reply.parts, conversation);
  },
};

/** Tokens that every answer claims, so that tests can say what must arrive. */
export const ANSWER_USAGE = {
  input_tokens: 1_200,
  cache_read_input_tokens: 800,
  cache_creation_input_tokens: 100,
  output_tokens: 34,
};

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
  529: "overloaded_error",
};

function read(body: unknown): Conversation {
  const { model, stream, messages, tools, system } = body as {
    model?: string;
    stream?: boolean;
    messages?: { role: Said["role"]; content: unknown }[];
    tools?: { name: string }[];
    system?: unknown;
  };
  return {
    model: model ?? "fake",
    stream: stream === true,
    said: (messages ?? []).map(({ role, content }) => ({ role, text: textOf(content) })),
    toolNames: (tools ?? []).map(({ name }) => name),
    allText: [textOf(system), ...(messages ?? []).map(({ content }) => textOf(content))].join("\n"),
  };
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((block: { text?: string; content?: unknown }) => block.text ?? textOf(block.content)).join("\n");
}

function sendError(response: ServerResponse, status: number, message: string): void {
  const error = { type: ERROR_TYPES[status] ?? "api_error", message };
  const headers = { "content-type": "application/json", ...(status === 429 ? { "retry-after": "0" } : {}) };
  response.writeHead(status, headers).end(JSON.stringify({ type: "error", error }));
}

let answers = 0;

async function stream(response: ServerResponse, parts: readonly Part[], conversation: Conversation): Promise<void> {
  const { model, toolNames } = conversation;
  const id = ++answers;
  const send = (type: string, data: object = {}) => sendEvent(response, type, { type, ...data });
  response.writeHead(200, { "content-type": "text/event-stream", "request-id": `req_${id}` });
  const usage = { ...ANSWER_USAGE, output_tokens: 1 };
  const message = {
    id: `msg_${id}`,
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage,
  };
  await send("message_start", { message });
  for (const [index, part] of parts.entries()) {
    if (part.kind === "hang") return gone(response);
    if (part.kind === "cut") return void response.destroy();
    await send("content_block_start", { index, content_block: emptyBlock(part, id, index, toolNames) });
    for (const delta of deltas(part, id, toolNames)) {
      await send("content_block_delta", { index, delta });
      if (part.kind === "text" && part.everyMs) await new Promise((resolve) => setTimeout(resolve, part.everyMs));
    }
    await send("content_block_stop", { index });
  }
  const usageAtEnd = { output_tokens: ANSWER_USAGE.output_tokens };
  await send("message_delta", { delta: { stop_reason: stopReason(parts), stop_sequence: null }, usage: usageAtEnd });
  await send("message_stop");
  response.end();
}

type Block = Exclude<Part, { kind: "hang" | "cut" }>;

function emptyBlock(part: Block, id: number, index: number, toolNames: readonly string[]): object {
  if (part.kind === "text") return { type: "text", text: "" };
  if (part.kind === "thinking") return { type: "thinking", thinking: "", signature: "" };
  return { type: "tool_use", id: `toolu_${id}_${index}`, name: toTool(part.call, toolNames).name, input: {} };
}

function deltas(part: Block, id: number, toolNames: readonly string[]): object[] {
  if (part.kind === "text") return part.pieces.map((text) => ({ type: "text_delta", text }));
  if (part.kind === "thinking")
    return [
      ...part.pieces.map((thinking) => ({ type: "thinking_delta", thinking })),
      { type: "signature_delta", signature: `sig_${id}` },
    ];
  const json = JSON.stringify(toTool(part.call, toolNames).input);
  return (json.match(/[\s\S]{1,40}/g) ?? []).map((partial_json) => ({ type: "input_json_delta", partial_json }));
}

async function whole(response: ServerResponse, parts: readonly Part[], conversation: Conversation): Promise<void> {
  const { model, toolNames } = conversation;
  if (parts.some(({ kind }) => kind === "hang")) return gone(response);
  if (parts.some(({ kind }) => kind === "cut")) return void response.destroy();
  const id = ++answers;
  const content = parts.flatMap((part, index): object[] => {
    if (part.kind === "text") return [{ type: "text", text: part.pieces.join("") }];
    if (part.kind === "tool")
      return [{ type: "tool_use", id: `toolu_${id}_${index}`, ...toTool(part.call, toolNames) }];
    return [];
  });
  response.writeHead(200, { "content-type": "application/json" });
  const stop = { stop_reason: stopReason(parts), stop_sequence: null };
  response.end(
    JSON.stringify({
      id: `msg_${id}`,
      type: "message",
      role: "assistant",
      model,
      content,
      ...stop,
      usage: ANSWER_USAGE,
    }),
  );
}

function stopReason(parts: readonly Part[]): string {
  return parts.some(({ kind }) => kind === "tool") ? "tool_use" : "end_turn";
}

function toTool(call: ToolCall, toolNames: readonly string[]): { name: string; input: object } {
  return toNativeTool(call, toolNames) ?? toClaudeTool(call);
}

/** The tools of Claude Code. */
function toClaudeTool(call: ToolCall): { name: string; input: object } {
  switch (call.tool) {
    case "raw":
      return { name: call.name, input: call.input };
    case "write":
      return { name: "Write", input: { file_path: call.path, content: call.text } };
    case "bash":
      return { name: "Bash", input: { command: call.command, description: "Runs a command" } };
    case "todo":
      return {
        name: "TodoWrite",
        input: { todos: call.items.map(({ text, status }) => ({ content: text, activeForm: text, status })) },
      };
    case "ask": {
      const options = call.options.map((label) => ({ label, description: `${label} it is` }));
      return {
        name: "AskUserQuestion",
        input: { questions: [{ question: call.question, header: "Choice", multiSelect: false, options }] },
      };
    }
  }
}
