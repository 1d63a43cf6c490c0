import { Link } from "@tanstack/react-router";
import {
  Blocks,
  CircleHelp,
  Inbox,
  KeyRound,
  LogOut,
  type LucideIcon,
  MessageSquarePlus,
  Search,
  Server,
} from "lucide-react";
import { type ReactNode, useState } from "react";
import { api } from "../api.ts";
import { useInbox } from "../inbox/inbox-queries.ts";
import { useMay, useMe } from "../sign-in/use-me.ts";
import { Button, IconButton } from "../ui/button.tsx";
import { showOverlay } from "../ui/overlay.ts";
import { MOD } from "../ui/shortcuts.ts";
import { ThemeToggle } from "../ui/theme-toggle.tsx";
import { toastError } from "../ui/toast.tsx";
import { useSettled } from "../ui/use-settled.ts";
import { useSessions } from "./session-queries.ts";
import { SessionRow } from "./session-row.tsx";

const SEARCH_AFTER_MS = 250;

export function Sidebar() {
  const [wanted, setWanted] = useState("");
  return (
    <>
      <div className="flex h-13 shrink-0 items-center px-4">
        <Link to="/" className="flex items-center gap-2 rounded-md font-semibold">
          <img src="/icon.svg" alt="" className="size-6" /> Gantry
        </Link>
      </div>
      <div className="flex flex-col gap-2 px-3 pb-2">
        <Link
          to="/"
          title={`New session (${MOD} Shift O)`}
          className="flex h-9 items-center gap-2 rounded-lg border border-line-strong bg-surface px-3 font-medium text-sm hover:border-accent pointer-coarse:h-11"
        >
          <MessageSquarePlus size={16} className="text-accent" aria-hidden /> New session
        </Link>
        <label className="flex h-8 items-center gap-2 rounded-lg px-3 text-ink-soft focus-within:bg-surface focus-within:text-ink hover:bg-line/50 pointer-coarse:h-11">
          <Search size={15} aria-hidden />
          <input
            type="search"
            aria-label="Search sessions"
            placeholder="Search"
            value={wanted}
            onChange={(event) => setWanted(event.target.value)}
            className="w-full min-w-0 bg-transparent text-sm outline-none pointer-coarse:text-base"
          />
        </label>
      </div>
      <InboxLink />
      <SessionList wanted={wanted} />
      <SidebarFooter />
    </>
  );
}

function InboxLink() {
  const { data: requests } = useInbox();
  const count = requests?.length ?? 0;
  return (
    <nav aria-label="Inbox" className="px-3 pb-1">
      <PlaceLink to="/inbox" name="Inbox" Icon={Inbox}>
        {count > 0 && (
          <span
            data-testid="inbox-count"
            className="rounded-full bg-warn-wash px-1.5 font-medium text-warn text-xs tabular-nums"
          >
            {count > 99 ? "99+" : count}
            <span className="sr-only"> waiting</span>
          </span>
        )}
      </PlaceLink>
    </nav>
  );
}

function SessionList({ wanted }: { wanted: string }) {
  const { sessions, isPending, isError, error, hasNextPage, fetchNextPage, isFetchingNextPage, refetch } = useSessions(
    useSettled(wanted.trim(), SEARCH_AFTER_MS),
  );
  const words = wanted.trim().toLowerCase();
  const shown = words ? sessions.filter((session) => session.title.toLowerCase().includes(words)) : sessions;
  return (
    <div className="min-h-0 flex-1 overflow-y-auto px-2 py-1">
      {isPending && <p className="breathe px-2 py-3 text-ink-soft text-sm">Loading…</p>}
      {isError && sessions.length === 0 && (
        <div className="px-2 py-3 text-sm">
          <p className="text-ink-soft">{error.message}</p>
          <Button size="small" className="mt-2" onClick={() => void refetch()}>
            Try again
          </Button>
        </div>
      )}
      {!isPending && !isError && shown.length === 0 && (
        <p className="px-2 py-3 text-ink-soft text-sm">
          {words ? "No session is called that." : "No sessions yet. Your first prompt starts one."}
        </p>
      )}
      <ul className="flex flex-col gap-0.5">
        {shown.map((session) => (
          <SessionRow key={session.id} session={session} />
        ))}
      </ul>
      {hasNextPage && (
        <Button
          look="quiet"
          size="small"
          className="mx-auto mt-2 flex"
          disabled={isFetchingNextPage}
          onClick={() => void fetchNextPage()}
        >
          Show older
        </Button>
      )}
    </div>
  );
}

function SidebarFooter() {
  const { data: me } = useMe();
  const mayKeep = useMay("credentials.admin");
  const signOut = (): void => {
    api.signOut().then(() => location.assign("/"), toastError);
  };
  return (
    <div className="flex shrink-0 flex-col border-t px-3 py-2">
      <nav aria-label="Settings">
        <PlaceLink to="/hosts" name="Hosts" Icon={Server} />
        <PlaceLink to="/apps" name="Apps" Icon={Blocks} />
        {mayKeep && <PlaceLink to="/credentials" name="Credentials" Icon={KeyRound} />}
      </nav>
      <div className="flex items-center">
        <IconButton label="Keyboard shortcuts" onClick={() => showOverlay("help")}>
          <CircleHelp size={16} />
        </IconButton>
        <ThemeToggle />
        <span className="flex-1" />
        <IconButton label={me?.name ? `Sign out ${me.name}` : "Sign out"} onClick={signOut}>
          <LogOut size={16} />
        </IconButton>
      </div>
    </div>
  );
}

type Place = {
  to: "/inbox" | "/hosts" | "/apps" | "/credentials";
  name: string;
  Icon: LucideIcon;
  children?: ReactNode;
};

function PlaceLink({ to, name, Icon, children }: Place) {
  return (
    <Link
      to={to}
      className="flex h-8 items-center gap-2 rounded-lg px-3 text-ink-soft text-sm hover:bg-line/50 hover:text-ink pointer-coarse:h-11"
      activeProps={{ className: "bg-line/60 text-ink" }}
    >
      <Icon size={15} aria-hidden />
      <span className="flex-1">{name}</span>
      {children}
    </Link>
  );
}
