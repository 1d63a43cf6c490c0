/** Where the work is and whether it is safe, in the words of the events and never better than them. */
import { CloudCheck, CloudOff } from "lucide-react";
import { lazy, memo, Suspense } from "react";
import type { HostRecord } from "#protocol/http.ts";
import type { HostStatus } from "#protocol/vocabulary.ts";
import type { WorkerView, WorkspaceView } from "#protocol/workspace-view.ts";
import { byteSize, clockTime, plural } from "../format.ts";
import { useHosts } from "../hosts/host-queries.ts";
import { RelativeTime } from "../ui/relative-time.tsx";
import { type DotTone, StatusDot } from "../ui/status-dot.tsx";

// Hardly ever seen, so not part of what every conversation waits for.
const KeptWork = lazy(async () => ({ default: (await import("./kept-work.tsx")).KeptWork }));
const RestingWorkspace = lazy(async () => ({ default: (await import("./resting-workspace.tsx")).RestingWorkspace }));
const FailedSave = lazy(async () => ({ default: (await import("./failed-save.tsx")).FailedSave }));

/** What there is while a worker is; resting-workspace.tsx has the rest. */
const WORKER_TEXT: Readonly<Record<Exclude<WorkerView["state"], "cold" | "stopped">, string>> = {
  starting: "Starting",
  active: "Running",
  stopping: "Saving and stopping",
};
const WORKER_TONE: Readonly<Record<WorkerView["state"], DotTone>> = {
  cold: "off",
  starting: "busy",
  active: "good",
  stopping: "busy",
  stopped: "off",
};
const AWAY: readonly HostStatus[] = ["offline", "disabled", "failed"];

type Props = {
  sessionId: string;
  worker: WorkerView;
  workspace: WorkspaceView;
  running: boolean;
  hostConnected: boolean;
};

export const WorkspaceStatus = memo(function WorkspaceStatus({
  sessionId,
  worker,
  workspace,
  running,
  hostConnected,
}: Props) {
  const { data: hosts } = useHosts();
  const hostId = worker.state === "cold" ? undefined : worker.hostId;
  const host = hosts?.find((each) => each.id === hostId);
  return (
    <div className="flex flex-col gap-2.5 text-sm">
      <Saved sessionId={sessionId} workspace={workspace} />
      <p className="flex items-center gap-2.5">
        <StatusDot tone={WORKER_TONE[worker.state]} className="mx-[3px]" />
        <span className="min-w-0">
          {worker.state === "cold" || worker.state === "stopped" ? (
            <Suspense fallback={null}>
              <RestingWorkspace worker={worker} workspace={workspace} hosts={hosts} />
            </Suspense>
          ) : (
            <>
              {WORKER_TEXT[worker.state]}
              <span className="text-ink-soft"> on {host?.name ?? hostId}</span>
            </>
          )}
          {worker.detail && <span className="block text-ink-soft text-xs">{worker.detail}</span>}
        </span>
      </p>
      {workspace.kept && (
        <Suspense fallback={null}>
          <KeptWork sessionId={sessionId} kept={workspace.kept} hosts={hosts} />
        </Suspense>
      )}
      <HostAway host={host} cutOff={running && !hostConnected && worker.state === "active"} />
    </div>
  );
});

function Saved({ sessionId, workspace }: { sessionId: string; workspace: WorkspaceView }) {
  const { snapshotId, syncedAt, files, bytes, failure, discarded } = workspace;
  if (failure) {
    return (
      <Suspense fallback={null}>
        <FailedSave sessionId={sessionId} failure={failure} syncedAt={syncedAt} />
      </Suspense>
    );
  }
  if (!snapshotId || syncedAt === undefined) {
    return (
      <p className="flex items-center gap-2.5 text-ink-soft">
        <CloudOff size={16} className="shrink-0" aria-hidden /> No snapshot yet
      </p>
    );
  }
  return (
    <p className="flex items-start gap-2.5">
      <CloudCheck size={16} className="mt-0.5 shrink-0 text-good" aria-hidden />
      <span>
        Saved <RelativeTime at={syncedAt} />
        <span className="block text-ink-soft text-xs">
          {plural(files ?? 0, "file")}
          {bytes !== undefined ? `, ${byteSize(bytes)}` : ""}
        </span>
        {discarded && (
          <span className="block text-ink-soft text-xs">
            {discarded.by.name} gave up what was not saved at {clockTime(discarded.at)}
            {discarded.reason ? `: ${discarded.reason}` : ""}. The host keeps it aside.
          </span>
        )}
      </span>
    </p>
  );
}

/** An absent host is not an empty session. */
function HostAway({ host, cutOff }: { host: HostRecord | undefined; cutOff: boolean }) {
  if (host && AWAY.includes(host.status)) {
    return (
      <p role="status" className="rounded-lg bg-warn-wash px-3 py-2 text-sm">
        Host {host.name} is {host.status}
        {host.lastSeenAt ? (
          <>
            {" "}
            since {clockTime(host.lastSeenAt)} (<RelativeTime at={host.lastSeenAt} />)
          </>
        ) : null}
        , the session is kept.
      </p>
    );
  }
  if (cutOff) {
    return (
      <p role="status" className="rounded-lg bg-warn-wash px-3 py-2 text-sm">
        The host is not connected right now. What it does meanwhile arrives when it is back.
      </p>
    );
  }
  return null;
}
