/** The list of sessions: asked for now and then, and kept true for the open session by what its socket says. */
import {
  type InfiniteData,
  keepPreviousData,
  useInfiniteQuery,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { useEffect } from "react";
import type { SessionSummary } from "#protocol/http.ts";
import { summarize } from "#protocol/summary.ts";
import { api } from "../api.ts";
import type { SessionState } from "../session/session-state.ts";
import { toastError } from "../ui/toast.tsx";

type Page = Awaited<ReturnType<typeof api.sessions>>;

const KEY = ["sessions"];
const POLL_MS = 10_000;

export function useSessions(search = "") {
  const query = useInfiniteQuery({
    queryKey: [...KEY, search],
    queryFn: ({ pageParam, signal }) => api.sessions({ cursor: pageParam, search }, signal),
    // While the next search is on its way the last answer stays, and is narrowed down where it is shown.
    placeholderData: keepPreviousData,
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor,
    refetchInterval: POLL_MS,
  });
  return { ...query, sessions: query.data?.pages.flatMap((page) => page.sessions) ?? [] };
}

/** Writes what the open session knows about itself into the list. */
export function useLiveSummary({ loaded, view }: SessionState): void {
  const client = useQueryClient();
  const { id, title, provider, updatedAt, deleted } = view;
  const { activity, needsAttention } = summarize(view);
  // Every delta moves `updatedAt`; the list shows minutes.
  const minute = Math.floor(updatedAt / 60_000);
  // biome-ignore lint/correctness/useExhaustiveDependencies: updatedAt is read when its minute changes
  useEffect(() => {
    if (!loaded) return;
    patch(client, (sessions) =>
      sessions.flatMap((session) => {
        if (session.id !== id) return [session];
        return deleted
          ? []
          : [{ ...session, title: title || session.title, provider, activity, needsAttention, updatedAt }];
      }),
    );
  }, [client, loaded, id, title, provider, minute, deleted, activity, needsAttention]);
}

function patch(
  client: ReturnType<typeof useQueryClient>,
  change: (sessions: SessionSummary[]) => SessionSummary[],
): void {
  // The list as it is shown and every search of it.
  client.setQueriesData<InfiniteData<Page>>(
    { queryKey: KEY },
    (data) => data && { ...data, pages: data.pages.map((page) => ({ ...page, sessions: change(page.sessions) })) },
  );
}

export function useRenameSession() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ id, title }: { id: string; title: string }) => api.renameSession(id, title),
    onMutate: ({ id, title }) =>
      patch(client, (all) => all.map((each) => (each.id === id ? { ...each, title } : each))),
    onError: toastError,
    onSettled: () => client.invalidateQueries({ queryKey: KEY }),
  });
}

export function useDeleteSession() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => api.deleteSession(id),
    onSuccess: (_answer, id) => patch(client, (all) => all.filter((each) => each.id !== id)),
    onError: toastError,
    onSettled: () => client.invalidateQueries({ queryKey: KEY }),
  });
}

export function useCreateSession() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: api.createSession,
    onSuccess: () => client.invalidateQueries({ queryKey: KEY }),
    onError: toastError,
  });
}
