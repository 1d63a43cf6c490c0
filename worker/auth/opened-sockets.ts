/**
 * Sockets and event streams live on while their credential may become worthless. So it is on record, before one opens,
 * which credential opens it and where; revoking the credential closes them all, at once.
 */
import { and, eq } from "drizzle-orm";
import { openedSockets } from "../../migrations/schema.ts";
import type { AppContext } from "../context.ts";
import { database } from "../db/database.ts";
import { sessionObject } from "../objects.ts";
import { authenticate } from "./authenticate.ts";
import type { Principal } from "./principal.ts";

/** The name under which a principal's sockets are found again; a host's are its objects' own business. */
export function credentialOf(principal: Principal): string | undefined {
  if (principal.kind === "person") return principal.browserSession;
  return principal.kind === "service" ? principal.id : undefined;
}

/**
 * To be called before a socket or a stream is opened, each time. Looks at the credential once more afterwards: one that was revoked meanwhile
 * either finds the record, or is refused here.
 * @returns what it has to carry; @throws Refused `unauthenticated`
 */
export async function recordSocket(c: AppContext, sessionId: string): Promise<string> {
  const credential = credentialOf(c.var.principal) ?? "";
  const { organizationId } = c.var.principal;
  const openedAt = Date.now();
  await database(c.env)
    .insert(openedSockets)
    .values({ organizationId, credential, sessionId, openedAt })
    .onConflictDoUpdate({
      target: [openedSockets.organizationId, openedSockets.credential, openedSockets.sessionId],
      set: { openedAt },
    });
  await authenticate(c);
  return credential;
}

/** Closes every socket and stream that the credential has opened. Call it after the credential has become worthless. */
export async function closeSockets(c: AppContext, credential: string): Promise<void> {
  const { organizationId } = c.var.principal;
  const own = and(eq(openedSockets.organizationId, organizationId), eq(openedSockets.credential, credential));
  const rows = await database(c.env).select({ sessionId: openedSockets.sessionId }).from(openedSockets).where(own);
  const closed = await Promise.allSettled(
    rows.map(({ sessionId }) => sessionObject(c.env, organizationId, sessionId).closeReaders(credential)),
  );
  const failed = closed.filter((each) => each.status === "rejected");
  // The rows stay for another try: revoking is repeatable.
  if (failed.length > 0) throw new Error(`${failed.length} of ${rows.length} sessions could not be told`);
  await database(c.env).delete(openedSockets).where(own);
}
