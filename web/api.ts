/** The HTTP API as plain fetch. Shapes come from #protocol/http.ts as types only: no validator travels to the page. */
import type { z } from "zod";
import type { appRecord, registerAppBody } from "#protocol/apps.ts";
import type { DiffAnswer, SnapshotsAnswer } from "#protocol/changes.ts";
import type { CredentialRecord } from "#protocol/credentials.ts";
import type { HumanLoopReply } from "#protocol/events.ts";
import type {
  ErrorBody,
  FileEntry,
  HostRecord,
  RunQueueReport,
  SessionSummary,
  WaitingRequest,
} from "#protocol/http.ts";
import type { SessionView } from "#protocol/session-view.ts";
import type { CredentialKind, Provider, SyncChoice, VmMode } from "#protocol/vocabulary.ts";

/** The API refused; `reason` is for programs, `message` for people. `network` means that nothing answered. */
export class ApiError extends Error {
  readonly status: number;
  readonly reason: string;
  readonly details: unknown;

  constructor(status: number, body: Pick<ErrorBody, "reason" | "message" | "details">) {
    super(body.message);
    this.name = "ApiError";
    this.status = status;
    this.reason = body.reason;
    this.details = body.details;
  }
}

/** @throws ApiError */
async function call(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(0, { reason: "network", message: "Gantry cannot be reached right now." });
  }
  if (response.ok) return response;
  throw new ApiError(response.status, await errorOf(response));
}

async function errorOf(response: Response): Promise<Pick<ErrorBody, "reason" | "message" | "details">> {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as Partial<ErrorBody>;
    if (body.reason && body.message) return { reason: body.reason, message: body.message, details: body.details };
  } catch (error) {
    // A proxy's error page, not our API: fall through to the status.
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { reason: `http_${response.status}`, message: `The server answered ${response.status}.` };
}

async function json<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await call(method, path, body, signal);
  return (await response.json()) as T;
}

export function query(values: Record<string, string | number | undefined>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) if (value !== undefined) search.set(key, String(value));
  const text = search.toString();
  return text ? `?${text}` : "";
}

export type Me = { id?: string; name?: string; role?: string; permissions?: string[] };
/** The answer of GET /api/me may nest the person; the page wants one flat shape. */
type MeAnswer = Me & { user?: Me; principal?: Me };
export type NewSession = { title?: string; provider?: Provider; vmMode?: VmMode; appId?: string };
export type FilePlace = { sessionId: string; snapshotId?: string; path?: string };
export type NewCredential = { kind: CredentialKind; name: string; value: string; baseUrl?: string };
export type AppRecord = z.output<typeof appRecord>;
export type NewApp = z.input<typeof registerAppBody>;
export type JoinToken = { token: string; expiresAt?: number };

const id = encodeURIComponent;

export const api = {
  async me(signal?: AbortSignal): Promise<Me> {
    const answer = await json<MeAnswer>("GET", "/api/me", undefined, signal);
    return { ...answer, ...answer.principal, ...answer.user };
  },
  signIn: (token: string) => call("POST", "/api/sign-in", { token }),
  signOut: () => call("POST", "/api/sign-out"),

  sessions: (page: { cursor?: string; search?: string }, signal?: AbortSignal) =>
    json<{ sessions: SessionSummary[]; nextCursor?: string }>(
      "GET",
      `/api/sessions${query({ cursor: page.cursor, search: page.search || undefined })}`,
      undefined,
      signal,
    ),
  session: (sessionId: string, signal?: AbortSignal) =>
    json<{ session: SessionSummary; view: SessionView; cursor: number }>(
      "GET",
      `/api/sessions/${id(sessionId)}`,
      undefined,
      signal,
    ),
  createSession: (body: NewSession) => json<{ session: SessionSummary }>("POST", "/api/sessions", body),
  renameSession: (sessionId: string, title: string) => call("PATCH", `/api/sessions/${id(sessionId)}`, { title }),
  forkSession: (sessionId: string, snapshotId: string) =>
    json<{ session: SessionSummary }>("POST", `/api/sessions/${id(sessionId)}/fork`, { snapshotId }),
  decideSync: (sessionId: string, choice: SyncChoice, reason?: string) =>
    call("POST", `/api/sessions/${id(sessionId)}/workspace/${choice}`, { reason }),
  deleteSession: (sessionId: string) => call("DELETE", `/api/sessions/${id(sessionId)}`),

  pendingRequests: (signal?: AbortSignal) =>
    json<{ requests: WaitingRequest[] }>("GET", "/api/human-loop/pending", undefined, signal),
  reply: (reply: HumanLoopReply) => call("POST", "/api/human-loop/reply", reply),

  fileTree: (place: FilePlace, signal?: AbortSignal) =>
    json<{ snapshotId?: string; entries: FileEntry[] }>("GET", `/api/files/tree${query(place)}`, undefined, signal),
  snapshots: (sessionId: string, signal?: AbortSignal) =>
    json<SnapshotsAnswer>("GET", `/api/files/snapshots${query({ sessionId, limit: 500 })}`, undefined, signal),
  pinSnapshot: (snapshotId: string) => call("POST", `/api/snapshots/${id(snapshotId)}/pin`),
  unpinSnapshot: (snapshotId: string) => call("DELETE", `/api/snapshots/${id(snapshotId)}/pin`),
  diff: (between: Record<string, string | undefined>, signal?: AbortSignal) =>
    json<DiffAnswer>("GET", `/api/files/diff${query(between)}`, undefined, signal),
  file: (place: FilePlace, signal?: AbortSignal) => call("GET", downloadUrl(place), undefined, signal),

  hosts: (signal?: AbortSignal) => json<{ hosts: HostRecord[] }>("GET", "/api/hosts", undefined, signal),
  async joinToken(): Promise<JoinToken> {
    const answer = await json<JoinToken & { joinToken?: string }>("POST", "/api/hosts/join-tokens", {});
    return { token: answer.token ?? answer.joinToken ?? "", expiresAt: answer.expiresAt };
  },
  apps: (signal?: AbortSignal) => json<{ apps: AppRecord[] }>("GET", "/api/apps/store", undefined, signal),
  saveApp: (body: NewApp) => call("POST", "/api/apps/register", body),
  deleteApp: (appId: string) => call("DELETE", `/api/apps/${id(appId)}`),
  credentials: (signal?: AbortSignal) =>
    json<{ credentials: CredentialRecord[] }>("GET", "/api/credentials", undefined, signal),
  createCredential: (body: NewCredential) => call("POST", "/api/credentials", body),
  rotateCredential: (credentialId: string, value: string) =>
    call("POST", `/api/credentials/${id(credentialId)}/rotate`, { value }),
  revokeCredential: (credentialId: string) => call("DELETE", `/api/credentials/${id(credentialId)}`),

  drainHost: (hostId: string) => call("POST", `/api/hosts/${id(hostId)}/drain`),
  resumeHost: (hostId: string) => call("POST", `/api/hosts/${id(hostId)}/resume`),
  redrive: (runId: string) => call("POST", `/api/runs/queue/dead-letters/${id(runId)}/redrive`),
  removeHost: (hostId: string) => call("DELETE", `/api/hosts/${id(hostId)}`),
  /** `undefined` where this person, or this server, has no such view. */
  async queue(signal?: AbortSignal): Promise<RunQueueReport | undefined> {
    try {
      return await json<RunQueueReport>("GET", "/api/runs/queue", undefined, signal);
    } catch (error) {
      if (error instanceof ApiError && [400, 403, 404, 405].includes(error.status)) return undefined;
      throw error;
    }
  },
};

export const downloadUrl = (place: FilePlace): string => `/api/files/download${query(place)}`;
