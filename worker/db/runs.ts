/** Runs and human-loop requests in the index that the session objects keep up to date. */
import { and, asc, eq, isNull } from "drizzle-orm";
import type { RunRecord, WaitingRequest } from "#protocol/http.ts";
import { hosts, humanLoop, runs, sessions } from "../../migrations/schema.ts";
import type { Env } from "../env.ts";
import { database } from "./database.ts";

const MAX_PENDING = 500;

export async function findRun(
  env: Pick<Env, "DB">,
  organizationId: string,
  runId: string,
): Promise<RunRecord | undefined> {
  const [row] = await database(env)
    .select()
    .from(runs)
    .where(and(eq(runs.organizationId, organizationId), eq(runs.id, runId)));
  if (!row) return undefined;
  const { organizationId: _own, version: _v, ...record } = row;
  return withoutNulls(record);
}

/** Everything of an organisation that waits for a person, the oldest first. */
export async function pendingRequests(env: Pick<Env, "DB">, organizationId: string): Promise<WaitingRequest[]> {
  const rows = await database(env)
    .select({ request: humanLoop, sessionTitle: sessions.title, provider: runs.provider })
    .from(humanLoop)
    .leftJoin(
      sessions,
      and(eq(sessions.organizationId, humanLoop.organizationId), eq(sessions.id, humanLoop.sessionId)),
    )
    .leftJoin(runs, and(eq(runs.organizationId, humanLoop.organizationId), eq(runs.id, humanLoop.runId)))
    .where(and(eq(humanLoop.organizationId, organizationId), isNull(humanLoop.resolvedAt)))
    .orderBy(asc(humanLoop.requestedAt), asc(humanLoop.id))
    .limit(MAX_PENDING);
  return rows.map(({ request, sessionTitle, provider }) => {
    const { id, runId, sessionId, kind, title, detail, options, multiple, rule, requestedAt } = request;
    const { answerWithinMs, expiresAt } = request;
    const asked = { id, runId, sessionId, kind, title, detail, options, multiple, rule, requestedAt };
    return withoutNulls({ ...asked, answerWithinMs, expiresAt, sessionTitle, provider });
  });
}

/** The pools that an organisation has hosts in. */
export async function poolsOf(env: Pick<Env, "DB">, organizationId: string): Promise<string[]> {
  const rows = await database(env)
    .selectDistinct({ pool: hosts.pool })
    .from(hosts)
    .where(and(eq(hosts.organizationId, organizationId), isNull(hosts.revokedAt)));
  return rows.map(({ pool }) => pool);
}

type WithoutNulls<T> = { [K in keyof T as null extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as null extends T[K] ? K : never]?: NonNullable<T[K]>;
};

/** SQL says null where JSON leaves a field out. */
export function withoutNulls<T extends object>(row: T): WithoutNulls<T> {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as WithoutNulls<T>;
}
