import { useNavigate } from "@tanstack/react-router";
import { Blocks, CircleHelp, Inbox, KeyRound, MessageSquarePlus, Moon, Server } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useEffect, useId, useState } from "react";
import { useSessions } from "../sessions/session-queries.ts";
import { cx } from "./cx.ts";
import { Dialog } from "./dialog.tsx";
import { showOverlay } from "./overlay.ts";
import { ProviderIcon } from "./provider-icon.tsx";
import { currentTheme, setTheme } from "./theme.ts";

type Entry = { key: string; title: string; icon: ReactNode; run: () => void };

const SHOWN = 12;

/** Sessions and actions by name. A combobox: the field keeps the focus, the arrows move the choice. */
export function CommandPalette({ onClose }: { onClose: () => void }) {
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const listId = useId();
  const entries = useEntries(query, onClose);
  const chosen = Math.min(at, Math.max(0, entries.length - 1));
  useEffect(() => {
    document.getElementById(`${listId}-${chosen}`)?.scrollIntoView({ block: "nearest" });
  }, [listId, chosen]);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "ArrowDown") setAt((chosen + 1) % Math.max(1, entries.length));
    else if (event.key === "ArrowUp") setAt((chosen - 1 + entries.length) % Math.max(1, entries.length));
    else if (event.key === "Enter") entries[chosen]?.run();
    else return;
    event.preventDefault();
  };
  return (
    <Dialog bare title="Go to" onClose={onClose} className="mt-[12dvh]">
      <input
        role="combobox"
        aria-expanded="true"
        aria-controls={listId}
        aria-activedescendant={`${listId}-${chosen}`}
        aria-label="Go to a session or an action"
        placeholder="Go to a session or an action…"
        data-autofocus
        value={query}
        onChange={(event) => {
          setQuery(event.target.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
        className="w-full border-b bg-transparent px-4 py-3.5 outline-none"
      />
      <div id={listId} role="listbox" aria-label="Results" className="max-h-80 overflow-auto p-1.5">
        {entries.map((entry, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the field's
          <div
            key={entry.key}
            id={`${listId}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === chosen}
            onClick={entry.run}
            onPointerMove={() => setAt(index)}
            className={cx(
              "flex cursor-pointer items-center gap-3 rounded-lg px-3 py-2 text-sm",
              index === chosen && "bg-accent-wash",
            )}
          >
            {entry.icon}
            <span className="min-w-0 truncate">{entry.title}</span>
          </div>
        ))}
        {entries.length === 0 && <p className="px-3 py-6 text-center text-ink-soft text-sm">Nothing is called that.</p>}
      </div>
    </Dialog>
  );
}

function useEntries(query: string, onClose: () => void): Entry[] {
  const navigate = useNavigate();
  const { sessions } = useSessions();
  const icon = "w-6 shrink-0 text-ink-soft";
  const go = (run: () => unknown) => () => {
    onClose();
    void run();
  };
  const actions: Entry[] = [
    {
      key: "new",
      title: "New session",
      icon: <MessageSquarePlus size={17} className={icon} />,
      run: go(() => navigate({ to: "/" })),
    },
    {
      key: "inbox",
      title: "Inbox",
      icon: <Inbox size={17} className={icon} />,
      run: go(() => navigate({ to: "/inbox" })),
    },
    {
      key: "hosts",
      title: "Hosts",
      icon: <Server size={17} className={icon} />,
      run: go(() => navigate({ to: "/hosts" })),
    },
    {
      key: "apps",
      title: "Apps",
      icon: <Blocks size={17} className={icon} />,
      run: go(() => navigate({ to: "/apps" })),
    },
    {
      key: "credentials",
      title: "Credentials",
      icon: <KeyRound size={17} className={icon} />,
      run: go(() => navigate({ to: "/credentials" })),
    },
    {
      key: "theme",
      title: "Switch between light and dark",
      icon: <Moon size={17} className={icon} />,
      run: go(() =>
        setTheme(currentTheme() === "dark" || document.documentElement.dataset.theme === "dark" ? "light" : "dark"),
      ),
    },
    {
      key: "help",
      title: "Keyboard shortcuts",
      icon: <CircleHelp size={17} className={icon} />,
      run: () => showOverlay("help"),
    },
  ];
  const places = sessions.map(
    (session): Entry => ({
      key: session.id,
      title: session.title,
      icon: <ProviderIcon provider={session.provider} />,
      run: go(() => navigate({ to: "/s/$sessionId", params: { sessionId: session.id } })),
    }),
  );
  const wanted = query.trim().toLowerCase();
  const matching = [...places, ...actions].filter((entry) => entry.title.toLowerCase().includes(wanted));
  return (wanted ? matching : [...actions.slice(0, 3), ...places, ...actions.slice(3)]).slice(0, SHOWN);
}
