/** Every key that does something, in one list: the help shows it, the page listens to it. */
import { useEffect } from "react";

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);
export const MOD = isMac ? "⌘" : "Ctrl";

export const SHORTCUTS: readonly { where: string; keys: readonly { press: string; does: string }[] }[] = [
  {
    where: "Everywhere",
    keys: [
      { press: `${MOD} K`, does: "Go to a session or an action" },
      { press: `${MOD} Shift O`, does: "New session" },
      { press: "g then i", does: "Inbox: everything that waits for you" },
      { press: "g then h", does: "Hosts" },
      { press: "g then s", does: "Start page" },
      { press: "/", does: "Write a prompt" },
      { press: "?", does: "This list" },
      { press: "Esc", does: "Close what is open" },
    ],
  },
  {
    where: "In a session",
    keys: [
      { press: "Enter", does: "Send; while a run is active, queue as a follow-up" },
      { press: "Shift Enter", does: "New line" },
      { press: "Esc", does: "Stop the current run; queued prompts continue" },
      { press: "p", does: "Go to the request that waits for you" },
      { press: "a / d", does: "On a focused permission: allow once / deny" },
      { press: "g then f", does: "Files of the session" },
      { press: "g then c", does: "Changes of the session" },
      { press: "[ / ]", does: "In the changes: previous / next file" },
    ],
  },
];

export function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

/** A layer that closes with Esc is open; the key is its own. */
export function layerIsOpen(): boolean {
  return document.querySelector("dialog[open], [role=menu]") !== null;
}

/** Calls `on` for keys that nothing on the page has used. Return true when the key was used. */
export function useKeys(on: (event: KeyboardEvent) => boolean): void {
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if (!event.defaultPrevented && !event.isComposing && on(event)) event.preventDefault();
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, [on]);
}

/** Puts the focus on the first element that matches; false when there is none. */
export function focusOn(selector: string): boolean {
  const element = document.querySelector<HTMLElement>(selector);
  element?.focus();
  return element !== null;
}
