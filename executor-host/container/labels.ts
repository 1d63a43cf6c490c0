/**
 * The labels by which a host knows its own containers again. Ownership is the exact installation id, nothing less: two
 * hosts on one machine, or a test beside a real host, share one engine.
 */
import type { WorkerSpec } from "./port.ts";

export const LABEL = {
  installation: "gantry.installation",
  host: "gantry.host",
  session: "gantry.session",
  epoch: "gantry.epoch",
} as const;

export type Labels = Readonly<Record<string, string>>;

/** The labels of a new worker. */
export function labelsOf(spec: WorkerSpec): Record<string, string> {
  return {
    [LABEL.installation]: spec.installationId,
    [LABEL.host]: spec.hostId,
    [LABEL.session]: spec.sessionId,
    [LABEL.epoch]: String(spec.epoch),
  };
}

/** Session and epoch of a container of this installation; undefined when it is not provably ours. */
export function ownedBy(
  labels: Labels | undefined,
  installationId: string,
): { sessionId: string; epoch: number } | undefined {
  if (installationId === "" || labels?.[LABEL.installation] !== installationId) return undefined;
  const sessionId = labels[LABEL.session];
  const epoch = Number(labels[LABEL.epoch]);
  return sessionId && Number.isSafeInteger(epoch) ? { sessionId, epoch } : undefined;
}
