import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "../api.ts";
import { toastError } from "../ui/toast.tsx";

const POLL_MS = 10_000;

export function useHosts() {
  return useQuery({
    queryKey: ["hosts"],
    queryFn: async ({ signal }) => (await api.hosts(signal)).hosts,
    refetchInterval: POLL_MS,
    staleTime: POLL_MS / 2,
    retry: 1,
  });
}

/** The name that its owner gave the host; its id where this person may not see hosts. */
export function useHostName(hostId: string | undefined): string | undefined {
  const { data } = useHosts();
  return data?.find((host) => host.id === hostId)?.name ?? hostId;
}

/** `null` where this server has no such view; it is not asked again then. */
export function useRunQueue() {
  return useQuery({
    queryKey: ["run-queue"],
    queryFn: async ({ signal }) => (await api.queue(signal)) ?? null,
    staleTime: (query) => (query.state.data === null ? Number.POSITIVE_INFINITY : 0),
    refetchInterval: (query) => (query.state.data === null ? false : POLL_MS),
    retry: 1,
  });
}

export function useRedrive() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (runId: string) => api.redrive(runId),
    onError: toastError,
    onSettled: () => client.invalidateQueries({ queryKey: ["run-queue"] }),
  });
}

export function useHostAction(action: "drainHost" | "resumeHost" | "removeHost") {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (hostId: string) => api[action](hostId),
    onError: toastError,
    onSettled: () => client.invalidateQueries({ queryKey: ["hosts"] }),
  });
}
