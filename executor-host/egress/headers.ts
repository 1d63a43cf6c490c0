/** Which headers pass the proxy, in either direction. */
import type { IncomingHttpHeaders } from "node:http";

/** They speak of one connection, not of the message (RFC 9110 §7.6.1, and the older names in use). */
const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Whatever the worker says about who it is: a key of its own would be a way to carry data out to somebody else's account. */
const identity = new Set(["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"]);

const routing = new Set(["host", "expect", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]);

/** The headers for the provider: the worker's without identity, then the key. What either says of betas counts. */
export function upstreamHeaders(
  received: IncomingHttpHeaders,
  keyHeaders: Readonly<Record<string, string>>,
): Record<string, string | string[]> {
  const named = namedByConnection(received.connection);
  const kept = Object.entries(received).filter(
    ([name]) => !hopByHop.has(name) && !identity.has(name) && !routing.has(name) && !named.has(name),
  );
  const passed = Object.fromEntries(kept) as Record<string, string | string[]>;
  const beta = [passed["anthropic-beta"] ?? [], keyHeaders["anthropic-beta"] ?? []].flat().join(",");
  return { ...passed, ...keyHeaders, ...(beta ? { "anthropic-beta": beta } : {}) };
}

/** The headers for the worker. Cookies would be a session at the provider, which is the host's. */
export function workerHeaders(received: NodeJS.Dict<string[]>): Record<string, string[]> {
  const named = namedByConnection(received.connection?.join(","));
  const kept = Object.entries(received).filter(
    ([name]) => !hopByHop.has(name) && !named.has(name) && name !== "set-cookie",
  );
  return Object.fromEntries(kept) as Record<string, string[]>;
}

function namedByConnection(value: string | undefined): ReadonlySet<string> {
  return new Set((value ?? "").split(",").map((name) => name.trim().toLowerCase()));
}
