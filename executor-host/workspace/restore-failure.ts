/** An error on its way from a thread to the daemon. */
import { codeOf } from "./errors.ts";
import { StoreError } from "./port.ts";
import { Damaged } from "./store-client.ts";

/** `known`: its reason is one of a StoreError. */
export type Failed = { type: "failed"; reason: string; message: string; retry: boolean; known: boolean };

export function failure(error: unknown): Failed {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof StoreError)
    return { type: "failed", reason: error.reason, message, retry: error.retry, known: true };
  if (error instanceof Damaged) return { type: "failed", reason: "store_corrupt", message, retry: false, known: true };
  if (codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT") {
    return { type: "failed", reason: "disk_full", message, retry: true, known: true };
  }
  return { type: "failed", reason: codeOf(error), message, retry: false, known: false };
}

export function errorOf({ reason, message, retry, known }: Failed): Error {
  return known ? new StoreError(reason, message, retry) : Object.assign(new Error(message), { code: reason });
}
