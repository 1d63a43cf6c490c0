import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type AppRecord, api, type NewApp } from "../api.ts";

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
