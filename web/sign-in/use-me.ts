import { useQuery } from "@tanstack/react-query";
import { api } from "../api.ts";

export function useMe() {
  return useQuery({ queryKey: ["me"], queryFn: ({ signal }) => api.me(signal), staleTime: 5 * 60_000, retry: false });
}

/** Whether this person may do it, as far as the page knows; the server decides. */
export function useMay(permission: string): boolean {
  return useMe().data?.permissions?.includes(permission) ?? false;
}
