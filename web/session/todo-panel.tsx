import { CircleCheck, CircleDashed, CircleDot, type LucideIcon } from "lucide-react";
import { memo } from "react";
import type { Todo } from "#protocol/events.ts";
import type { TodoStatus } from "#protocol/vocabulary.ts";
import { cx } from "../ui/cx.ts";

const GROUPS: readonly { status: TodoStatus; title: string; Icon: LucideIcon; className: string }[] = [
  { status: "in_progress", title: "In progress", Icon: CircleDot, className: "text-accent" },
  { status: "pending", title: "To do", Icon: CircleDashed, className: "text-ink-soft" },
  { status: "completed", title: "Done", Icon: CircleCheck, className: "text-good" },
];

export const TodoPanel = memo(function TodoPanel({ items }: { items: readonly Todo[] }) {
  if (items.length === 0) return <p className="text-ink-soft text-sm">The agent's list of steps appears here.</p>;
  return (
    <div data-testid="todo-panel" className="flex flex-col gap-3">
      {GROUPS.map(({ status, title, Icon, className }) => {
        const group = items.filter((item) => item.status === status);
        if (group.length === 0) return null;
        return (
          <section key={status} aria-label={title}>
            <h4 className="mb-1 text-ink-soft text-xs">
              {title} · {group.length}
            </h4>
            <ul className="flex flex-col gap-1">
              {group.map((item) => (
                <li key={item.id} className="flex items-start gap-2 text-sm">
                  <Icon size={15} className={cx("mt-[3px] shrink-0", className)} aria-hidden />
                  <span
                    className={cx(
                      "min-w-0 break-words",
                      status === "completed" && "text-ink-soft line-through decoration-line-strong",
                    )}
                  >
                    {item.text}
                  </span>
                </li>
              ))}
            </ul>
          </section>
        );
      })}
    </div>
  );
});

/** The same in one line, where there is no room for the panel. */
export function TodoStrip({ items, onOpen }: { items: readonly Todo[]; onOpen: () => void }) {
  const done = items.filter((item) => item.status === "completed").length;
  if (items.length === 0 || done === items.length) return null;
  const current = items.find((item) => item.status === "in_progress");
  const next = items.find((item) => item.status === "pending");
  return (
    <button
      type="button"
      data-testid="todo-strip"
      onClick={onOpen}
      className="flex w-full items-center gap-2.5 rounded-xl border bg-surface px-3 py-1.5 text-start text-sm xl:hidden"
    >
      <span className="shrink-0 rounded-md bg-accent-wash px-1.5 font-medium text-accent text-xs tabular-nums leading-5">
        {done}/{items.length}
      </span>
      <span className="min-w-0 truncate">{current?.text ?? `Next: ${next?.text ?? ""}`}</span>
    </button>
  );
}
