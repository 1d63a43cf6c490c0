import { useNavigate } from "@tanstack/react-router";
import { Blocks, Plus } from "lucide-react";
import { useState } from "react";
import { useCreateSession } from "../sessions/session-queries.ts";
import { useMay } from "../sign-in/use-me.ts";
import { Button } from "../ui/button.tsx";
import { ConfirmDialog } from "../ui/dialog.tsx";
import { EmptyState } from "../ui/empty-state.tsx";
import { Notice } from "../ui/notice.tsx";
import { PageHeader } from "../ui/page-header.tsx";
import { PROVIDER_NAME } from "../ui/provider-icon.tsx";
import { RelativeTime } from "../ui/relative-time.tsx";
import { AppForm } from "./app-form.tsx";
import { type AppRecord, useApps, useDeleteApp } from "./app-queries.ts";
import { NETWORK_TEXT } from "./app-texts.ts";

export function AppsPage() {
  const [adding, setAdding] = useState(false);
  const mayChange = useMay("apps.admin");
  const { data: apps, error, isPending } = useApps();
  return (
    <>
      <PageHeader>
        <h1 className="flex-1 font-semibold">Apps</h1>
        {mayChange && (
          <Button look="primary" size="small" className="h-8" onClick={() => setAdding(true)}>
            <Plus size={15} /> Add
          </Button>
        )}
      </PageHeader>
      <div className="min-h-0 flex-1 overflow-y-auto">
        <div className="mx-auto flex w-full max-w-4xl flex-col gap-6 px-4 py-6 sm:px-6">
          <p className="max-w-[60ch] text-ink-soft">
            Prepared ways to work: an agent, its model and key, and what it may reach. A session that begins with an app
            stays with it; a change counts from the next run on.
          </p>
          {error && !apps && <Notice tone="bad" title={error.message} />}
          {isPending && <p className="breathe text-ink-soft">Loading…</p>}
          {apps?.length === 0 && (
            <EmptyState icon={<Blocks size={20} />} title="No app yet">
              <p>Sessions work without one, with the organisation's defaults.</p>
              {mayChange && (
                <Button className="mt-4" onClick={() => setAdding(true)}>
                  Add an app
                </Button>
              )}
            </EmptyState>
          )}
          {apps && apps.length > 0 && (
            <ul className="flex flex-col gap-3">
              {apps.map((app) => (
                <AppRow key={app.id} app={app} mayChange={mayChange} />
              ))}
            </ul>
          )}
        </div>
      </div>
      {adding && <AppForm onClose={() => setAdding(false)} />}
    </>
  );
}

function AppRow({ app, mayChange }: { app: AppRecord; mayChange: boolean }) {
  const [open, setOpen] = useState<"form" | "delete">();
  const close = (): void => setOpen(undefined);
  const remove = useDeleteApp(close);
  const create = useCreateSession();
  const navigate = useNavigate();
  const start = (): void => {
    const opened = ({ session }: { session: { id: string } }) =>
      navigate({ to: "/s/$sessionId", params: { sessionId: session.id } });
    create.mutate({ title: app.name, appId: app.id }, { onSuccess: opened });
  };
  const { name, description, visibility, updatedAt } = app;
  const { provider, model, networkPolicy, providerOptions = {} } = app.runtimeDefaults;
  const agent = provider ? PROVIDER_NAME[provider] : "The organisation's agent";
  return (
    <li
      data-testid="app-row"
      className="flex flex-col gap-3 rounded-xl border border-line bg-surface px-4 py-3 sm:flex-row sm:items-center"
    >
      <div className="min-w-0 flex-1">
        <p className="break-words font-medium">{name}</p>
        {description && <p className="break-words text-ink-soft text-sm">{description}</p>}
        <p className="break-words text-ink-soft text-sm">
          {[model ? `${agent}, ${model}` : agent, `network: ${NETWORK_TEXT[networkPolicy].name}`].join(" · ")}
        </p>
        {Object.keys(providerOptions).length > 0 && (
          <p className="break-words text-ink-soft text-xs">
            {Object.entries(providerOptions).map(([option, value]) => (
              <code key={option} className="me-2">
                {option}: {typeof value === "string" ? value : JSON.stringify(value)}
              </code>
            ))}
          </p>
        )}
        <p className="text-ink-soft text-xs">
          Changed <RelativeTime at={updatedAt} />
          {visibility === "private" && " · private"}
        </p>
      </div>
      <div className="flex gap-2">
        {app.canUse && (
          <Button size="small" onClick={start} disabled={create.isPending}>
            New session
          </Button>
        )}
        {mayChange && (
          <>
            <Button size="small" onClick={() => setOpen("form")}>
              Change
            </Button>
            <Button size="small" look="danger" onClick={() => setOpen("delete")}>
              Delete
            </Button>
          </>
        )}
      </div>
      {open === "form" && <AppForm app={app} onClose={close} />}
      {open === "delete" && (
        <ConfirmDialog
          title={`Delete ${name}?`}
          action="Delete"
          onConfirm={() => remove.mutate(app.id)}
          onClose={close}
        >
          Nothing new begins with it. The sessions that were made with it go on, and keep its network, credentials and
          defaults.
        </ConfirmDialog>
      )}
    </li>
  );
}
