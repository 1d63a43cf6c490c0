/** Claude Code's TodoWrite input as our to-do list. */
import type { Todo } from "#protocol/events.ts";
import { TODO_STATUSES } from "#protocol/vocabulary.ts";

/** The list that a call of TodoWrite sets; undefined when the input is not one. */
export function todosOf(input: unknown): Todo[] | undefined {
  const todos = (input as { todos?: unknown } | null)?.todos;
  if (!Array.isArray(todos)) return undefined;
  return todos.slice(0, 200).map((todo: { content?: unknown; status?: unknown }, index) => ({
    id: String(index + 1),
    text: String(todo?.content ?? "").slice(0, 2_000),
    status: TODO_STATUSES.find((status) => status === todo?.status) ?? "pending",
  }));
}
