/** Says why a session does not open: the socket itself cannot tell a refusal from a lost network. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Unplug } from "lucide-react";
import { ApiError, api } from "../api.ts";
import { Button } from "../ui/button.tsx";
import { EmptyState } from "../ui/empty-state.tsx";
import { PageHeader } from "../ui/page-header.tsx";

type Props = { sessionId: string; deleted?: boolean; onRetry?: () => void };

export function SessionUnavailable({ sessionId, deleted = false, onRetry }: Props) {
  const probe = useQuery({
    queryKey: ["session-probe", sessionId],
    queryFn: ({ signal }) => api.session(sessionId, signal),
    enabled: !deleted,
    retry: false,
    gcTime: 0,
  });
  const gone = deleted || (probe.error instanceof ApiError && [404, 410, 403].includes(probe.error.status));
  return (
    <>
      <PageHeader>
        <h1 className="font-semibold">Session</h1>
      </PageHeader>
      <EmptyState
        icon={<Unplug size={20} />}
        title={gone ? "This session is not here" : "The session cannot be reached right now"}
      >
        <p>
          {gone
            ? "It was deleted, or it belongs to somebody else."
            : "Nothing is lost; the page keeps trying and opens it as soon as there is an answer."}
        </p>
        <div className="mt-4 flex justify-center gap-2">
          {onRetry && !gone && <Button onClick={onRetry}>Retry now</Button>}
          <Link
            to="/"
            className="inline-flex h-9 items-center rounded-lg border border-line-strong px-3.5 font-medium text-ink text-sm hover:bg-sunken"
          >
            Start page
          </Link>
        </div>
      </EmptyState>
    </>
  );
}
