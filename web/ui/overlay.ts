/** Which of the page-wide layers is open; at most one. */
import { useSyncExternalStore } from "react";

export type Overlay = "help" | "palette" | "sessions" | "details" | undefined;

let open: Overlay;
const listeners = new Set<() => void>();

export function showOverlay(next: Overlay): void {
  open = next;
  for (const listener of listeners) listener();
}

export function useOverlay(): Overlay {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => open,
  );
}
