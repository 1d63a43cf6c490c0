import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type AppRecord, api, type NewApp } from "../api.ts";
import { toastError } from "../ui/toast.tsx";

export type { AppRecord, NewApp };

const KEY = ["apps"];

export function useApps() {
  return useQuery({
    queryKey: KEY,
    queryFn: async ({ signal }) => (await api.apps(signal)).apps,
    refetchInterval: 30_000,
    retry: 1,
  });
}

/** Deletes an app. One that somebody else deleted first leaves the list all the same. */
export function useDeleteApp(onDone: () => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => api.deleteApp(id),
    onError: toastError,
    onSettled: () => client.invalidateQueries({ queryKey: KEY }),
    onSuccess: onDone,
  });
}

/** Registers an app, or changes the one of this name. What is refused is for the form to say. */
export function useSaveApp(onDone: () => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: NewApp) => api.saveApp(body),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: KEY });
      onDone();
    },
  });
}
