/**
 * Signing in with a one-time link. The link's page shows a button and changes nothing; only the button's POST uses the
 * link up, because mail scanners and chat previews fetch every link they see.
 */
import { and, eq, gt, isNull } from "drizzle-orm";
import { deleteCookie, setCookie } from "hono/cookie";
import { browserSessions, signInLinks, users } from "../../migrations/schema.ts";
import type { AppContext } from "../context.ts";
import { recordAuditOf } from "../db/audit.ts";
import { type Database, database } from "../db/database.ts";
import { refuse } from "../errors.ts";
import { SESSION_COOKIE } from "./authenticate.ts";
import { looksLikeSecret, newSecret, sha256Hex } from "./secrets.ts";

export const SIGN_IN_LINK_MS = 15 * 60_000;
const BROWSER_SESSION_MS = 30 * 24 * 60 * 60_000;
const NEW_LINK = "Ask an administrator for a new one, or run `npm start` on the machine that runs Gantry.";

/** Makes a link's token for a person; it works once, for `SIGN_IN_LINK_MS`. */
export async function mintSignInLink(
  db: Database,
  { organizationId, userId, nowMs }: { organizationId: string; userId: string; nowMs: number },
): Promise<string> {
  const token = newSecret("gsl");
  await db.insert(signInLinks).values({
    tokenHash: await sha256Hex(token),
    organizationId,
    userId,
    createdAt: nowMs,
    expiresAt: nowMs + SIGN_IN_LINK_MS,
  });
  return token;
}

/**
 * Uses a link up and sets the cookie.
 * @throws Refused `sign_in_link_unknown`, `sign_in_link_used`, `sign_in_link_expired`
 */
export async function signIn(c: AppContext, token: string): Promise<void> {
  const db = database(c.env);
  const now = Date.now();
  const tokenHash = await sha256Hex(token);
  // One statement: of two that come at once, one gets the row.
  const [used] = looksLikeSecret("gsl", token)
    ? await db
        .update(signInLinks)
        .set({ usedAt: now })
        .where(and(eq(signInLinks.tokenHash, tokenHash), isNull(signInLinks.usedAt), gt(signInLinks.expiresAt, now)))
        .returning({ organizationId: signInLinks.organizationId, userId: signInLinks.userId })
    : [];
  if (!used) return refuseLink(db, tokenHash);
  const cookie = newSecret("gbs");
  await db.insert(browserSessions).values({
    tokenHash: await sha256Hex(cookie),
    ...used,
    createdAt: now,
    expiresAt: now + BROWSER_SESSION_MS,
  });
  const [user] = await db.select({ name: users.name }).from(users).where(eq(users.id, used.userId));
  const actor = { id: used.userId, name: user?.name ?? "" };
  await recordAuditOf(c, used.organizationId, actor, { action: "sign_in", target: used.userId, allowed: true });
  setCookie(c, SESSION_COOKIE, cookie, {
    path: "/",
    httpOnly: true,
    sameSite: "Lax",
    secure: new URL(c.req.url).protocol === "https:",
    maxAge: BROWSER_SESSION_MS / 1_000,
  });
}

/** Ends the browser session of the person who asks. */
export async function signOut(c: AppContext): Promise<void> {
  if (c.var.principal.kind === "person") {
    await database(c.env).delete(browserSessions).where(eq(browserSessions.tokenHash, c.var.principal.browserSession));
  }
  deleteCookie(c, SESSION_COOKIE, { path: "/" });
}

async function refuseLink(db: Database, tokenHash: string): Promise<never> {
  const [row] = await db
    .select({ usedAt: signInLinks.usedAt })
    .from(signInLinks)
    .where(eq(signInLinks.tokenHash, tokenHash));
  if (!row) return refuse("sign_in_link_unknown", `This sign-in link is not known. ${NEW_LINK}`);
  if (row.usedAt !== null) return refuse("sign_in_link_used", `This sign-in link was already used. ${NEW_LINK}`);
  return refuse("sign_in_link_expired", `This sign-in link has expired. ${NEW_LINK}`);
}
