import type { HostRecord } from "#protocol/http.ts";
import { whereabouts } from "#protocol/whereabouts.ts";
import type { WorkerView, WorkspaceView } from "#protocol/workspace-view.ts";
import { restingText } from "./resting-text.ts";

type Props = { worker: WorkerView; workspace: WorkspaceView; hosts: readonly HostRecord[] | undefined };

/** In place of the worker's state when there is no worker. */
export function RestingWorkspace({ worker, workspace, hosts }: Props) {
  const where = whereabouts({ worker, workspace }, hosts);
  if (where.files === "worker") return null;
  const nameOf = (hostId: string) => hosts?.find(({ id }) => id === hostId)?.name ?? hostId;
  const { state, next } = restingText(where, nameOf, workspace.syncedAt);
  return (
    <>
      {state}
      {next && <span className="block text-ink-soft text-xs">{next}</span>}
    </>
  );
}
