/** Once a minute: what has expired and would only lie around. Nothing depends on it: an expired thing is refused anyway. */
import { lt } from "drizzle-orm";
import { browserSessions, joinTokens, openedSockets, signInLinks, usedAssertions } from "../migrations/schema.ts";
import { database } from "./db/database.ts";
import type { Env } from "./env.ts";
import { createLogger } from "./log.ts";

/** Links and tokens stay for a day after their end, so that whoever comes late is told "expired" and not "unknown". */
const KEPT_MS = 24 * 60 * 60_000;
/** No page keeps one socket for longer than this: networks, deployments and sleeping machines see to that. */
const SOCKETS_KNOWN_MS = 30 * KEPT_MS;

/** Each sweep stands alone: one that fails is logged and does not keep the others from running. */
export async function sweepExpired(env: Pick<Env, "DB">, nowMs: number): Promise<void> {
  const db = database(env);
  const log = createLogger({ component: "worker", cron: "sweep" });
  const sweeps = {
    browserSessions: () => db.delete(browserSessions).where(lt(browserSessions.expiresAt, nowMs)).run(),
    usedAssertions: () => db.delete(usedAssertions).where(lt(usedAssertions.expiresAt, nowMs)).run(),
    signInLinks: () =>
      db
        .delete(signInLinks)
        .where(lt(signInLinks.expiresAt, nowMs - KEPT_MS))
        .run(),
    openedSockets: () =>
      db
        .delete(openedSockets)
        .where(lt(openedSockets.openedAt, nowMs - SOCKETS_KNOWN_MS))
        .run(),
    joinTokens: () =>
      db
        .delete(joinTokens)
        .where(lt(joinTokens.expiresAt, nowMs - KEPT_MS))
        .run(),
  };
  let rows = 0;
  for (const [name, sweep] of Object.entries(sweeps)) {
    try {
      rows += (await sweep()).meta.changes;
    } catch (error) {
      log.error("sweep_failed", { sweep: name, error });
    }
  }
  // Nothing to sweep is the rule, and not worth a line a minute.
  if (rows > 0) log.info("swept", { rows });
}
