/** The list of sessions, from the index that the session objects keep up to date. It may lag by a moment. */
import { and, desc, eq, like, lt, or } from "drizzle-orm";
import type { SessionSummary } from "#protocol/http.ts";
import { sessions } from "../../migrations/schema.ts";
import type { Env } from "../env.ts";
import { refuse } from "../errors.ts";
import { database } from "./database.ts";

export type SessionPage = { sessions: SessionSummary[]; nextCursor?: string };

/**
 * One page, the most recently changed first. The cursor names the last row's place (`updatedAt`, then `id`), so rows
 * that move to the top while someone pages are met again there and never push others out of the later pages.
 * @throws Refused `malformed` for a cursor that is not one
 */
export async function listSessions(
  env: Pick<Env, "DB">,
  organizationId: string,
  { limit, cursor, search }: { limit: number; cursor?: string; search?: string },
): Promise<SessionPage> {
  const after = cursor === undefined ? undefined : parseCursor(cursor);
  const rows = await database(env)
    .select()
    .from(sessions)
    .where(
      and(
        eq(sessions.organizationId, organizationId),
        eq(sessions.deleted, false),
        after &&
          or(
            lt(sessions.updatedAt, after.updatedAt),
            and(eq(sessions.updatedAt, after.updatedAt), lt(sessions.id, after.id)),
          ),
        search ? like(sessions.title, `%${search.replace(/[%_]/g, " ")}%`) : undefined,
      ),
    )
    .orderBy(desc(sessions.updatedAt), desc(sessions.id))
    .limit(limit + 1);
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    sessions: page.map(summaryOf),
    ...(rows.length > limit && last ? { nextCursor: `${last.updatedAt}.${last.id}` } : {}),
  };
}

function parseCursor(cursor: string): { updatedAt: number; id: string } {
  const match = /^(\d{1,15})\.(ses_[0-9a-z]{20})$/.exec(cursor);
  if (!match?.[1] || !match[2]) return refuse("malformed", "cursor: not one that this list has given");
  return { updatedAt: Number(match[1]), id: match[2] };
}

function summaryOf(row: typeof sessions.$inferSelect): SessionSummary {
  const { createdById, createdByName, organizationId: _own, deleted: _no, version: _v, ...summary } = row;
  return { ...summary, createdBy: { id: createdById, name: createdByName } };
}
