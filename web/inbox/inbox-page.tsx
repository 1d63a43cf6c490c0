/** Everything that waits for a person, over all sessions, answered where it stands. */
import { Link } from "@tanstack/react-router";
import { Inbox } from "lucide-react";
import type { WaitingRequest } from "#protocol/http.ts";
import { PermissionCard } from "../session/permission-card.tsx";
import { QuestionCard } from "../session/question-card.tsx";
import { EmptyState } from "../ui/empty-state.tsx";
import { Notice } from "../ui/notice.tsx";
import { PageHeader } from "../ui/page-header.tsx";
import { PROVIDER_NAME } from "../ui/provider-icon.tsx";
import { RelativeTime } from "../ui/relative-time.tsx";
import { useInbox, useReply } from "./inbox-queries.ts";

export function InboxPage() {
  const { data: requests, error, isPending } = useInbox();
  return (
    <>
      <PageHeader>
        <h1 className="flex-1 font-semibold">Inbox</h1>
      </PageHeader>
      <div className="min-h-0 flex-1 overflow-y-auto">
        <div className="mx-auto flex w-full max-w-3xl flex-col gap-6 px-4 py-6 sm:px-6">
          <p className="max-w-[60ch] text-ink-soft">
            Agents that wait for you, the longest first. They go on as soon as you answer, from any device.
          </p>
          {error && !requests && <Notice tone="bad" title={error.message} />}
          {isPending && <p className="breathe text-ink-soft">Loading…</p>}
          {requests?.length === 0 && (
            <EmptyState icon={<Inbox size={20} />} title="Nobody waits for you">
              <p>Permissions and questions of all sessions show up here.</p>
            </EmptyState>
          )}
          {requests && requests.length > 0 && (
            <ul className="flex flex-col gap-7">
              {requests.map((request) => (
                <WaitingRow key={request.id} request={request} />
              ))}
            </ul>
          )}
        </div>
      </div>
    </>
  );
}

function WaitingRow({ request }: { request: WaitingRequest }) {
  const reply = useReply();
  const { id, sessionId, sessionTitle, provider, ...rest } = request;
  const asked = { ...rest, requestId: id, multiple: rest.multiple ?? false };
  const card = { request: asked, busy: reply.isPending, onReply: reply.mutate };
  return (
    <li data-testid="inbox-row" className="flex flex-col gap-2">
      <p className="flex items-baseline gap-2 text-sm">
        <Link
          to="/s/$sessionId"
          params={{ sessionId }}
          className="min-w-0 truncate font-medium underline decoration-line-strong underline-offset-4 hover:decoration-accent"
        >
          {sessionTitle || "Untitled"}
        </Link>
        <RelativeTime at={request.requestedAt} className="shrink-0 text-ink-soft text-xs" />
      </p>
      {request.kind === "permission" ? (
        <PermissionCard {...card} provider={provider ? PROVIDER_NAME[provider] : "The agent"} />
      ) : (
        <QuestionCard {...card} />
      )}
    </li>
  );
}
