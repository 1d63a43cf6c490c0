/** What waits for people over all sessions: asked for now and then, and again after every answer. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { HumanLoopReply } from "#protocol/events.ts";
import { ApiError, api } from "../api.ts";
import { toast, toastError } from "../ui/toast.tsx";

const KEY = ["inbox"];
const POLL_MS = 5_000;

/** The oldest first. */
export function useInbox() {
  return useQuery({
    queryKey: KEY,
    queryFn: async ({ signal }) => (await api.pendingRequests(signal)).requests,
    refetchInterval: POLL_MS,
  });
}

export function useReply() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (reply: HumanLoopReply) => api.reply(reply),
    onError: (error) => {
      // Somebody was quicker: that is news, and nothing has gone wrong.
      if (error instanceof ApiError && error.reason === "already_answered") toast(error.message);
      else toastError(error);
    },
    onSettled: () => client.invalidateQueries({ queryKey: KEY }),
  });
}
