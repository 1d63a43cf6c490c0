/** OpenAI's chat completions, the wire that most other model servers speak, too: streamed and whole, with tools. */
import type { ServerResponse } from "node:http";
import type { Conversation, Said } from "./conversation.ts";
import { toNativeTool } from "./native-tools.ts";
import { addFile, OPENAI_USAGE, sendOpenaiError, textOf } from "./openai.ts";
import type { Part, ToolCall } from "./scenarios.ts";
import { gone, sendEvent, type Wire } from "./wire.ts";

export const chatCompletionsWire: Wire = {
  serves: (path) => /^(\/v1)?\/chat\/completions$/.test(path),
  read,
  async send(response, reply, conversation) {
    if (!("parts" in reply)) return sendOpenaiError(response, reply.status, reply.message);
    if (conversation.stream) return stream(response, reply.parts, conversation);
    return whole(response, reply.parts, conversation);
  },
};

function read(body: unknown): Conversation {
  const { model, stream, messages, tools } = body as {
    model?: string;
    stream?: boolean;
    messages?: { role: string; content: unknown }[];
    tools?: { function?: { name: string } }[];
  };
  const said = (messages ?? []).flatMap(({ role, content }): Said[] => {
    if (role === "system" || role === "developer") return [];
    // What a tool answered is the agent's, not the person's: it must not be taken for a prompt.
    if (role === "tool") return [{ role: "user", text: "" }];
    return [{ role: role === "assistant" ? "assistant" : "user", text: textOf(content) }];
  });
  return {
    model: model ?? "fake",
    stream: stream === true,
    said,
    toolNames: (tools ?? []).flatMap((tool) => tool.function?.name ?? []),
    allText: (messages ?? []).map(({ content }) => textOf(content)).join("\n"),
  };
}

let answers = 0;

const USAGE = {
  prompt_tokens: OPENAI_USAGE.input,
  completion_tokens: OPENAI_USAGE.output,
  total_tokens: OPENAI_USAGE.input + OPENAI_USAGE.output,
  prompt_tokens_details: { cached_tokens: OPENAI_USAGE.cached },
  completion_tokens_details: { reasoning_tokens: OPENAI_USAGE.reasoning },
};

async function stream(
  response: ServerResponse,
  parts: readonly Part[],
  { model, toolNames }: Conversation,
): Promise<void> {
  const id = ++answers;
  const base = { id: `chatcmpl_${id}`, object: "chat.completion.chunk", created: 0, model };
  const send = (delta: object, finish_reason: string | null = null) =>
    sendEvent(response, undefined, { ...base, choices: [{ index: 0, delta, finish_reason }] });
  response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": `req_${id}` });
  await send({ role: "assistant", content: "" });
  let tools = 0;
  for (const part of parts) {
    if (part.kind === "hang") return gone(response);
    if (part.kind === "cut") return void response.destroy();
    if (part.kind === "tool") {
      for (const call of callDeltas(part.call, `call_${id}_${tools}`, toolNames))
        await send({ tool_calls: [{ index: tools, ...call }] });
      tools++;
      continue;
    }
    for (const piece of part.pieces) {
      await send(part.kind === "text" ? { content: piece } : { reasoning_content: piece });
      if (part.kind === "text" && part.everyMs) await new Promise((resolve) => setTimeout(resolve, part.everyMs));
    }
  }
  await send({}, tools > 0 ? "tool_calls" : "stop");
  await sendEvent(response, undefined, { ...base, choices: [], usage: USAGE });
  response.end("data: [DONE]\n\n");
}

function callDeltas(call: ToolCall, id: string, toolNames: readonly string[]): object[] {
  const { name, input } = toNativeTool(call, toolNames) ?? toOpencodeTool(call, toolNames);
  const pieces = JSON.stringify(input).match(/[\s\S]{1,40}/g) ?? [];
  return [
    { id, type: "function", function: { name, arguments: "" } },
    ...pieces.map((piece) => ({ function: { arguments: piece } })),
  ];
}

async function whole(response: ServerResponse, parts: readonly Part[], { model }: Conversation): Promise<void> {
  if (parts.some(({ kind }) => kind === "hang")) return gone(response);
  if (parts.some(({ kind }) => kind === "cut")) return void response.destroy();
  const content = parts.flatMap((part) => (part.kind === "text" ? part.pieces : [])).join("");
  const choice = { index: 0, message: { role: "assistant", content }, finish_reason: "stop" };
  const base = { id: `chatcmpl_${++answers}`, object: "chat.completion", created: 0, model };
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ ...base, choices: [choice], usage: USAGE }));
}

/** The tools of OpenCode. */
function toOpencodeTool(call: ToolCall, toolNames: readonly string[]): { name: string; input: object } {
  switch (call.tool) {
    case "raw":
      return { name: call.name, input: call.input };
    case "write":
      // OpenAI's newer models are given patches instead of whole files.
      if (toolNames.includes("apply_patch")) return { name: "apply_patch", input: { patchText: addFile(call) } };
      return { name: "write", input: { filePath: call.path, content: call.text } };
    case "bash":
      return { name: "bash", input: { command: call.command, description: "Runs a command" } };
    case "todo":
      return {
        name: "todowrite",
        input: { todos: call.items.map(({ text, status }) => ({ content: text, status, priority: "medium" })) },
      };
    case "ask": {
      const options = call.options.map((label) => ({ label, description: `${label} it is` }));
      return { name: "question", input: { questions: [{ question: call.question, header: "Choice", options }] } };
    }
  }
}
