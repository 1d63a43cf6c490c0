/**
 * Ids carry their kind as a prefix. A run's and a request's id contain the id of their session, so that any of them
 * finds its Durable Object without asking an index that may lag.
 *
 *   ses_<20>          run_<20>-<10>          req_<20>-<10>          (characters 0-9a-z)
 */
import { z } from "zod";

const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz";
const SESSION_CHARS = 20;
const PART_CHARS = 10;

function randomChars(count: number): string {
  let out = "";
  while (out.length < count) {
    for (const byte of crypto.getRandomValues(new Uint8Array(count))) {
      // 252 is the largest multiple of 36 below 256: dropping the rest keeps every character equally likely.
      if (byte < 252 && out.length < count) out += ALPHABET[byte % 36];
    }
  }
  return out;
}

/** A new random id, `prefix_` and 20 characters (103 bits). */
export function newId(prefix: "ses" | "hst" | "usr" | "org" | "tok" | "cmd" | "trc" | "msg" | "app" | "crd"): string {
  return `${prefix}_${randomChars(SESSION_CHARS)}`;
}

export function newRunId(sessionId: string): string {
  return `run_${sessionId.slice(4)}-${randomChars(PART_CHARS)}`;
}

export function newRequestId(sessionId: string): string {
  return `req_${sessionId.slice(4)}-${randomChars(PART_CHARS)}`;
}

/** Ids that follow from a key, so that the same request asked twice names the same thing. */
export async function derivedId(prefix: "ses" | "msg" | "crd", ...key: string[]): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key.join("\u0000"))));
  let value = digest.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  let out = "";
  for (let i = 0; i < SESSION_CHARS; i++, value /= 36n) out += ALPHABET[Number(value % 36n)];
  return `${prefix}_${out}`;
}

const SESSION_ID = /^ses_[0-9a-z]{20}$/;
const PART_ID = /^(run|req)_([0-9a-z]{20})-[0-9a-z]{10}$/;

export const sessionIdSchema = z.string().regex(SESSION_ID, "not a session id");
export const runIdSchema = z.string().regex(/^run_[0-9a-z]{20}-[0-9a-z]{10}$/, "not a run id");
export const requestIdSchema = z.string().regex(/^req_[0-9a-z]{20}-[0-9a-z]{10}$/, "not a request id");
export const hostIdSchema = z.string().regex(/^hst_[0-9a-z]{20}$/, "not a host id");
export const credentialIdSchema = z.string().regex(/^crd_[0-9a-z]{20}$/, "not a credential id");
export const appIdSchema = z.string().regex(/^app_[0-9a-z]{20}$/, "not an app id");
/** Chosen by the sender of a command; the same id again gets the first answer. */
export const commandIdSchema = z.string().min(1).max(100);

/** The session that a run or a human-loop request belongs to; undefined when `id` is neither. */
export function sessionOf(id: string): string | undefined {
  const match = PART_ID.exec(id);
  return match ? `ses_${match[2]}` : undefined;
}

/** Whether the id of an actor is a person's. */
export function isPerson(actorId: string): boolean {
  return actorId.startsWith("usr_");
}

/** The name under which a session's or a pool's Durable Object is found: tenancy is in the key. */
export function objectName(organizationId: string, id: string): string {
  return `${organizationId}/${id}`;
}
