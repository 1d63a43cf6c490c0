/** Short messages that need no answer, in one polite live region. */
import { X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { cx } from "./cx.ts";

type Toast = { id: number; text: string; bad: boolean };

const SHOWN_MS = 6_000;
let toasts: readonly Toast[] = [];
let lastId = 0;
const listeners = new Set<() => void>();

function set(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

export function toast(text: string, kind: "note" | "bad" = "note"): void {
  const id = ++lastId;
  set([...toasts.slice(-2), { id, text, bad: kind === "bad" }]);
  setTimeout(() => dismiss(id), SHOWN_MS);
}

function dismiss(id: number): void {
  set(toasts.filter((shown) => shown.id !== id));
}

export function toastError(error: unknown): void {
  toast(error instanceof Error ? error.message : String(error), "bad");
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function Toaster() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <div
      role="status"
      aria-live="polite"
      className="pointer-events-none fixed inset-x-4 top-4 z-50 flex flex-col items-center gap-2 sm:inset-x-auto sm:end-4 sm:items-end"
    >
      {shown.map(({ id, text, bad }) => (
        <div
          key={id}
          className={cx(
            "arrive pointer-events-auto flex max-w-sm items-start gap-3 rounded-xl border bg-raised px-3.5 py-2.5 text-sm shadow-(color:--shadow) shadow-lg",
            bad ? "border-bad/50 text-bad" : "border-line",
          )}
        >
          <span className="min-w-0 break-words">{text}</span>
          <button
            type="button"
            aria-label="Dismiss"
            onClick={() => dismiss(id)}
            className="mt-0.5 opacity-60 hover:opacity-100"
          >
            <X size={15} />
          </button>
        </div>
      ))}
    </div>
  );
}
