/** What waits for people over all sessions: asked for now and then, and again after every answer. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { HumanLoopReply } from "#protocol/events.ts";
import type { WaitingRequest } from "#protocol/http.ts";
import { ApiError, api } from "../api.ts";
import { toast, toastError } from "../ui/toast.tsx";

const KEY = ["inbox"];
const POLL_MS = 5_000;

/** What was answered here: the index follows a session by a moment, and must not bring it back. */
const answered = new Set<string>();

/** The oldest first. */
export function useInbox() {
  return useQuery({
    queryKey: KEY,
    queryFn: async ({ signal }) => (await api.pendingRequests(signal)).requests.filter(({ id }) => !answered.has(id)),
    refetchInterval: POLL_MS,
  });
}

export function useReply() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (reply: HumanLoopReply) => api.reply(reply),
    onSuccess: (_, { requestId }) => {
      answered.add(requestId);
      client.setQueryData<WaitingRequest[]>(KEY, (requests) => requests?.filter(({ id }) => id !== requestId));
    },
    onError: (error) => {
      // Somebody was quicker: that is news, and nothing has gone wrong.
      if (error instanceof ApiError && error.reason === "already_answered") toast(error.message);
      else toastError(error);
    },
    onSettled: () => client.invalidateQueries({ queryKey: KEY }),
  });
}
