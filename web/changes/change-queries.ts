import { useQuery } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import type { SnapshotRecord } from "#protocol/changes.ts";
import { api } from "../api.ts";
import { sessionStore } from "../session/use-session.ts";

/** The newest snapshot of an open session, without a new rendering for everything else that happens in it. */
export function useNewestSnapshot(sessionId: string): string | undefined {
  const store = sessionStore(sessionId);
  return useSyncExternalStore(store.subscribe, () => store.getSnapshot().view.workspace.snapshotId);
}

/** How often the index is asked again for a snapshot that it does not have yet, and how long it is given each time. */
const INDEX_ASKS = 5;
const INDEX_LAG_MS = 1_000;

/** A session's snapshots, newest first; asked for again with each new one. */
export function useSnapshots(sessionId: string, newest: string | undefined, enabled = true) {
  return useQuery<SnapshotRecord[]>({
    queryKey: ["snapshots", sessionId, newest],
    enabled: enabled && newest !== undefined,
    retry: 1,
    staleTime: 60_000,
    placeholderData: (before, query) => (query?.queryKey[1] === sessionId ? before : undefined),
    queryFn: async ({ signal }) => (await api.snapshots(sessionId, signal)).snapshots,
    refetchInterval: ({ state }) => {
      const there = state.data === undefined || state.data.some((snapshot) => snapshot.id === newest);
      return there || state.dataUpdateCount > INDEX_ASKS ? false : INDEX_LAG_MS;
    },
  });
}

type Between = { sessionId: string; from?: string | undefined; to?: string | undefined };

/** Between two snapshots nothing changes any more. */
export function useDiff({ sessionId, from, to }: Between, options: { text: boolean; enabled?: boolean }) {
  const { text, enabled = true } = options;
  return useQuery({
    queryKey: ["diff", sessionId, from, to, text],
    enabled: enabled && to !== undefined,
    retry: 1,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }) => api.diff({ sessionId, from, to, text: text ? undefined : "0" }, signal),
  });
}

/** One file's change, with more room for its text. */
export function useFileDiff({ sessionId, from, to }: Between, path: string, enabled: boolean) {
  return useQuery({
    queryKey: ["diff", sessionId, from, to, path],
    enabled: enabled && to !== undefined,
    retry: 1,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
    queryFn: async ({ signal }) => (await api.diff({ sessionId, from, to, path }, signal)).changes[0],
  });
}
