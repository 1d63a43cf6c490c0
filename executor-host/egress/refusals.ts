/** The proxy's own answers. What a CLI gets instead of a model's answer is in its vendor's shape, so that it can show why. */
import { type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { UnreadyUpstream, Vendor } from "./credentials.ts";
import type { Denial } from "./policy.ts";

export type Refusal = { status: number; body: unknown };

export function deniedRefusal({ rule, message }: Denial): Refusal {
  return { status: 403, body: { ok: false, reason: "egress_denied", message, details: { rule } } };
}

export function busyRefusal(limit: number): Refusal {
  const message = `More than ${limit} requests of this session are under way.`;
  return { status: 503, body: { ok: false, reason: "egress_busy", message } };
}

/** 503: trying again is right. */
export function unknownRefusal(): Refusal {
  const message = "The control plane has not said yet what this session may do. Try again in a moment.";
  return { status: 503, body: { ok: false, reason: "egress_unknown", message } };
}

export function unreachableRefusal(message: string): Refusal {
  return { status: 502, body: { ok: false, reason: "upstream_unreachable", message } };
}

/** 401, so that the CLI does not try again. */
export function unreadyRefusal({ vendor, reason, message, fix }: UnreadyUpstream): Refusal {
  return { status: 401, body: vendorError(vendor, "authentication_error", reason, `${message} ${fix}`) };
}

export function upstreamRefusal(vendor: Vendor, message: string): Refusal {
  return { status: 502, body: vendorError(vendor, "api_error", "upstream_unreachable", message) };
}

/** Anthropic: docs "Errors"; OpenAI: docs "Error codes", as their SDKs read them. */
function vendorError(vendor: Vendor, type: string, code: string, message: string): unknown {
  if (vendor === "anthropic") return { type: "error", error: { type, message: `${code}: ${message}` } };
  return { error: { message: `${code}: ${message}`, type, param: null, code } };
}

export function refuse(response: ServerResponse, { status, body }: Refusal): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

/** The same on a bare socket, as the answer to CONNECT; ends the socket. */
export function refuseConnect(client: Duplex, { status, body }: Refusal): void {
  const text = JSON.stringify(body);
  const reason = STATUS_CODES[status] ?? "Refused";
  const head = `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}`;
  // A server's socket outlives the other side's end, so ending it is not enough to be rid of it.
  client.end(`${head}\r\nconnection: close\r\n\r\n${text}`, () => client.destroy());
}
