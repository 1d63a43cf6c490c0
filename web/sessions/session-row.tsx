import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Ellipsis, Pencil, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import type { SessionSummary } from "#protocol/http.ts";
import { STATE_TEXT } from "../session/outcome-texts.ts";
import { Button, IconButton } from "../ui/button.tsx";
import { ConfirmDialog, Dialog } from "../ui/dialog.tsx";
import { Menu, MenuItem } from "../ui/menu.tsx";
import { ProviderIcon } from "../ui/provider-icon.tsx";
import { RelativeTime } from "../ui/relative-time.tsx";
import { StatusDot } from "../ui/status-dot.tsx";
import { useDeleteSession, useRenameSession } from "./session-queries.ts";

export function SessionRow({ session }: { session: SessionSummary }) {
  const [dialog, setDialog] = useState<"rename" | "delete">();
  const close = (): void => setDialog(undefined);
  const title = session.title || "Untitled";
  return (
    <li data-testid="session-row" className="group/row relative">
      <Link
        to="/s/$sessionId"
        params={{ sessionId: session.id }}
        className="flex items-center gap-2.5 rounded-lg py-1.5 ps-2 pe-2 hover:bg-line/50 group-focus-within/row:pe-9 group-hover/row:pe-9 pointer-coarse:py-2.5 pointer-coarse:pe-11"
        activeProps={{ className: "bg-surface shadow-(color:--shadow) shadow-xs hover:bg-surface" }}
      >
        <ProviderIcon provider={session.provider} />
        <span className="min-w-0 flex-1">
          <span className="block truncate text-sm leading-5">{title}</span>
          <span className="flex items-center gap-1.5 text-ink-soft text-xs leading-4">
            <Activity session={session} />
            <RelativeTime at={session.updatedAt} className="truncate" />
          </span>
        </span>
      </Link>
      <div className="absolute inset-y-0 end-1 flex items-center opacity-0 focus-within:opacity-100 group-hover/row:opacity-100 has-data-[state=open]:opacity-100 pointer-coarse:opacity-100">
        <Menu
          label={`Actions for ${title}`}
          trigger={
            <IconButton label={`Actions for ${title}`} className="size-7">
              <Ellipsis size={15} />
            </IconButton>
          }
        >
          <MenuItem onSelect={() => setDialog("rename")}>
            <Pencil size={14} /> Rename…
          </MenuItem>
          <MenuItem danger onSelect={() => setDialog("delete")}>
            <Trash2 size={14} /> Delete…
          </MenuItem>
        </Menu>
      </div>
      {dialog === "rename" && <RenameDialog session={session} onClose={close} />}
      {dialog === "delete" && <DeleteDialog session={session} onClose={close} />}
    </li>
  );
}

function Activity({ session: { needsAttention, activity } }: { session: SessionSummary }) {
  if (needsAttention) {
    return <span className="shrink-0 rounded-full bg-warn-wash px-1.5 font-medium text-warn">Needs you</span>;
  }
  if (activity === "idle" || activity === "finished") return null;
  return (
    <span className="flex min-w-0 items-center gap-1.5">
      <StatusDot tone={activity === "queued" ? "warn" : "busy"} />
      <span className="truncate">{STATE_TEXT[activity]}</span>
      <span aria-hidden>·</span>
    </span>
  );
}

function RenameDialog({ session, onClose }: { session: SessionSummary; onClose: () => void }) {
  const [title, setTitle] = useState(session.title);
  const rename = useRenameSession();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (title.trim() && title.trim() !== session.title) rename.mutate({ id: session.id, title: title.trim() });
    onClose();
  };
  return (
    <Dialog title="Rename session" onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <input
          aria-label="Title"
          data-autofocus
          maxLength={200}
          value={title}
          onFocus={(event) => event.target.select()}
          onChange={(event) => setTitle(event.target.value)}
          className="rounded-lg border border-line-strong bg-surface px-3 py-2"
        />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={!title.trim()}>
            Rename
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function DeleteDialog({ session, onClose }: { session: SessionSummary; onClose: () => void }) {
  const remove = useDeleteSession();
  const navigate = useNavigate();
  const open = useParams({ strict: false }).sessionId;
  const confirm = (): void =>
    remove.mutate(session.id, { onSuccess: () => void (open === session.id && navigate({ to: "/" })) });
  return (
    <ConfirmDialog title="Delete this session?" action="Delete" onConfirm={confirm} onClose={onClose}>
      <p>
        “{session.title || "Untitled"}” with its conversation and its files goes for good. A run that is active is
        stopped.
      </p>
    </ConfirmDialog>
  );
}
