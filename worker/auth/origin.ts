/**
 * A browser sends its cookies along wherever the request comes from, so a request that changes something, or opens a
 * WebSocket, has to come from our own pages. Origins are compared whole: a prefix or a part of a host name proves nothing.
 */
import type { AppContext } from "../context.ts";
import { trustedOrigins } from "../env.ts";
import { refuse } from "../errors.ts";

const READING = new Set(["GET", "HEAD"]);

/**
 * For requests that a cookie authenticates (or that set one).
 * @throws Refused `foreign_origin`; a missing Origin counts as foreign, since browsers send it with all of these
 */
export function requireOwnOrigin(c: AppContext): void {
  const upgrade = c.req.header("upgrade") !== undefined;
  if (READING.has(c.req.method) && !upgrade) return;
  const origin = c.req.header("origin");
  if (origin === undefined || !trustedOrigins(c.req.url, c.env).has(origin)) {
    refuse("foreign_origin", "this request did not come from a page of this site");
  }
}
