/** What waits for a person, pinned above the composer, the oldest first; and who was quicker. */
import { X } from "lucide-react";
import { useState } from "react";
import type { ResolvedRequest } from "#protocol/session-view.ts";
import { activeRun } from "#protocol/session-view.ts";
import { IconButton } from "../ui/button.tsx";
import { PROVIDER_NAME } from "../ui/provider-icon.tsx";
import { RelativeTime } from "../ui/relative-time.tsx";
import { PermissionCard } from "./permission-card.tsx";
import { QuestionCard } from "./question-card.tsx";
import type { SessionState } from "./session-state.ts";
import type { SessionStore } from "./session-store.ts";

const DECIDED: Readonly<Record<string, string>> = {
  allow: "Allowed",
  deny: "Denied",
  answer: "Answered",
  cancelled: "Withdrawn",
  expired: "Expired",
};

export function HumanLoop({ session, store }: { session: SessionState; store: SessionStore }) {
  const { view, outgoing } = session;
  const replying = new Set<string>();
  for (const { command, state } of outgoing)
    if (command.type === "reply" && state !== "refused") replying.add(command.reply.requestId);
  const [first, ...more] = view.pending;
  const provider = PROVIDER_NAME[activeRun(view)?.provider ?? view.provider];
  return (
    <>
      <AnsweredElsewhere session={session} />
      {first && (
        <div key={first.requestId}>
          {first.kind === "permission" ? (
            <PermissionCard
              request={first}
              busy={replying.has(first.requestId)}
              provider={provider}
              onReply={(reply) => store.reply(reply)}
            />
          ) : (
            <QuestionCard
              request={first}
              busy={replying.has(first.requestId)}
              onReply={(reply) => store.reply(reply)}
            />
          )}
          {more.length > 0 && (
            <p className="mt-1 text-center text-ink-soft text-xs">{more.length} more waiting behind this one</p>
          )}
        </div>
      )}
    </>
  );
}

/** Requests that this page showed and somebody else answered, until the run ends or the reader waves them away. */
function AnsweredElsewhere({ session: { view, seen } }: { session: SessionState }) {
  const [dismissed, setDismissed] = useState<readonly string[]>([]);
  const running = activeRun(view);
  const lines = view.resolved.filter((resolved) => {
    const known = seen[resolved.requestId];
    return known && !known.mine && known.request.runId === running?.id && !dismissed.includes(resolved.requestId);
  });
  return lines.map((resolved) => (
    <p
      key={resolved.requestId}
      data-testid="answered-elsewhere"
      className="flex items-center justify-between gap-3 rounded-xl border bg-surface py-1 ps-3.5 pe-1 text-sm"
    >
      <span className="min-w-0 truncate">
        {resolvedBy(resolved)} <RelativeTime at={resolved.at} className="text-ink-soft" />:{" "}
        {seen[resolved.requestId]?.request.title}
      </span>
      <IconButton label="Dismiss" onClick={() => setDismissed([...dismissed, resolved.requestId])}>
        <X size={14} />
      </IconButton>
    </p>
  ));
}

function resolvedBy({ decision, by }: ResolvedRequest): string {
  const what = DECIDED[decision] ?? decision;
  return by?.name ? `${what} by ${by.name}` : what;
}
