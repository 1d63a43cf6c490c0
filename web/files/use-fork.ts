import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api } from "../api.ts";
import { toastError } from "../ui/toast.tsx";

/** Makes a new session that begins with a snapshot's files, and opens it. */
export function useFork(sessionId: string): { busy: boolean; fork: (snapshotId: string) => Promise<void> } {
  const navigate = useNavigate();
  const [busy, setBusy] = useState(false);
  const fork = async (snapshotId: string): Promise<void> => {
    setBusy(true);
    try {
      const { session } = await api.forkSession(sessionId, snapshotId);
      await navigate({ to: "/s/$sessionId", params: { sessionId: session.id } });
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
    }
  };
  return { busy, fork };
}
