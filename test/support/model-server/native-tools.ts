/** The tools of Gantry's own agent, which speaks every wire; it is recognised by them. */
import type { ToolCall } from "./scenarios.ts";

/** Undefined when another agent is at the other end. */
export function toNativeTool(
  call: ToolCall,
  toolNames: readonly string[],
): { name: string; input: object } | undefined {
  if (!["bash", "search", "todo"].every((name) => toolNames.includes(name))) return undefined;
  switch (call.tool) {
    case "write":
      return { name: "write", input: { path: call.path, content: call.text } };
    case "bash":
      return { name: "bash", input: { command: call.command } };
    case "todo":
      return { name: "todo", input: { items: call.items } };
    case "ask":
      return {
        name: "question",
        input: { question: call.question, options: call.options.map((label) => ({ label })) },
      };
    case "raw":
      return { name: call.name, input: call.input };
  }
}
