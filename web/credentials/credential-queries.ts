import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, type NewCredential } from "../api.ts";
import { toastError } from "../ui/toast.tsx";

const KEY = ["credentials"];

export function useCredentials() {
  return useQuery({
    queryKey: KEY,
    queryFn: async ({ signal }) => (await api.credentials(signal)).credentials,
    refetchInterval: 30_000,
    retry: 1,
  });
}

/** The value travels in the call and stays in no cache. */
function useCredentialChange<T>(change: (input: T) => Promise<unknown>, onDone: () => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    gcTime: 0,
    onError: toastError,
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: KEY });
      onDone();
    },
  });
}

export const useCreateCredential = (onDone: () => void) =>
  useCredentialChange((body: NewCredential) => api.createCredential(body), onDone);
export const useRotateCredential = (onDone: () => void) =>
  useCredentialChange(({ id, value }: { id: string; value: string }) => api.rotateCredential(id, value), onDone);
export const useRevokeCredential = (onDone: () => void) =>
  useCredentialChange((id: string) => api.revokeCredential(id), onDone);
