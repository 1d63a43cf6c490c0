/**
 * What may leave a worker. Pure.
 *
 *   policy       /provider/<name>/<rest>    CONNECT host:port
 *   none         no                         no
 *   providers    yes                        no
 *   allowlist    yes                        the listed names
 *   open         yes                        any name
 *
 * A name that passes here is still resolved and its addresses checked (addresses.ts, tunnel.ts): only public ones are
 * dialled. The provider's base URL is the operator's own word and is dialled wherever it leads, loopback included.
 */
import type { ReadyUpstream, UnreadyUpstream, UpstreamTable, Vendor } from "./credentials.ts";

/** `hosts`: `example.com`, `*.example.com` (names below it), with `:port` or, without, port 443. */
export type NetworkPolicy =
  | { mode: "none" }
  | { mode: "providers" }
  /** `within`: what the operator allows at most. */
  | { mode: "allowlist"; hosts: readonly string[]; within?: readonly string[] }
  | { mode: "open" };

/** An app's policy inside of what the operator allows at most: what both let through. */
export function narrowed(app: NetworkPolicy, operator: NetworkPolicy): NetworkPolicy {
  if (app.mode === "none" || operator.mode === "none") return { mode: "none" };
  if (app.mode === "providers" || operator.mode === "providers") return { mode: "providers" };
  if (operator.mode === "open") return app;
  if (app.mode === "open") return operator;
  return { mode: "allowlist", hosts: app.hosts, within: operator.hosts };
}

/** Which rule refused; for the log and for whoever debugs an app's policy. */
export type DenialRule =
  | "policy"
  | "not_a_provider_path"
  | "unknown_provider"
  | "provider_path"
  | "malformed"
  | "not_listed"
  | "private_address";

export type Denial = { kind: "denied"; rule: DenialRule; message: string };
export type HttpDecision =
  | { kind: "forward"; provider: string; upstream: ReadyUpstream; url: URL }
  | { kind: "unready"; provider: string; upstream: UnreadyUpstream }
  | Denial;
export type ConnectDecision = { kind: "tunnel"; host: string; port: number } | Denial;

export function denied(rule: DenialRule, message: string): Denial {
  return { kind: "denied", rule, message };
}

/**
 * What a key may be used for: talking to models. A vendor's API does more under the same key (files, batches, billing),
 * which is none of an agent's business.
 */
const openPaths: Readonly<Record<Vendor, readonly [methods: RegExp, path: RegExp][]>> = {
  anthropic: [
    [/^POST$/, /^\/v1\/messages(\/count_tokens)?$/],
    [/^GET$/, /^\/v1\/models(\/[\w.:-]+)?$/],
    [/^(GET|HEAD)$/, /^\/api\/hello$/],
  ],
  openai: [
    [/^POST$/, /^(\/v1)?\/(responses(\/compact)?|chat\/completions|embeddings)$/],
    [/^GET$/, /^(\/v1)?\/models(\/[\w.:-]+)?$/],
  ],
};

/** @param target the request target as it stands in the request line */
export function decideHttp(
  policy: NetworkPolicy,
  upstreams: UpstreamTable,
  method: string,
  target: string,
): HttpDecision {
  if (policy.mode === "none") return denied("policy", "This app's network policy is none.");
  const match = /^\/provider\/([a-z0-9-]+)(\/[^?#]*)(\?[^#]*)?$/.exec(target);
  if (!match) {
    return denied("not_a_provider_path", "Only /provider/<name>/… is served here; other hosts are reached by CONNECT.");
  }
  const [, provider = "", path = "", query = ""] = match;
  const upstream = upstreams.get(provider);
  if (!upstream)
    return denied(
      "unknown_provider",
      `There is no provider "${provider}" for this run: a run reaches its own provider alone.`,
    );
  if (!openPaths[upstream.vendor].some(([methods, paths]) => methods.test(method) && paths.test(path))) {
    return denied(
      "provider_path",
      `${method} ${path.slice(0, 200)} is not among the model calls that a key is used for.`,
    );
  }
  if (upstream.state === "unready") return { kind: "unready", provider, upstream };
  const { baseUrl } = upstream;
  const wanted = baseUrl.pathname.replace(/\/$/, "") + path;
  const url = URL.parse(wanted + query, baseUrl.origin);
  // Where the parser had something to resolve (`..` in any spelling), the path was not what it seemed.
  if (url?.origin !== baseUrl.origin || url.pathname !== wanted) {
    return denied("malformed", "The path is not in its plain form.");
  }
  return { kind: "forward", provider, upstream, url };
}

/** @param authority `host:port` as it stands in the CONNECT request line */
export function decideConnect(policy: NetworkPolicy, authority: string): ConnectDecision {
  if (policy.mode === "none" || policy.mode === "providers") {
    return denied(
      "policy",
      `This app's network policy is ${policy.mode}: no host can be reached but the model providers.`,
    );
  }
  const wanted = parseAuthority(authority);
  if (!wanted) return denied("malformed", "CONNECT wants host:port.");
  if (policy.mode === "allowlist") {
    const listed = (hosts: readonly string[]) => hosts.some((pattern) => covers(pattern, wanted));
    if (!listed(policy.hosts))
      return denied("not_listed", `${wanted.host}:${wanted.port} is not on this app's list of hosts.`);
    if (policy.within && !listed(policy.within))
      return denied("not_listed", `${wanted.host}:${wanted.port} is not on the list that this host's operator allows.`);
  }
  return { kind: "tunnel", ...wanted };
}

type HostAndPort = { host: string; port: number };

/** Lower case, without brackets and without the root dot, so that one host has one spelling. */
function parseAuthority(authority: string): HostAndPort | undefined {
  const match = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?)\.?):([0-9]{1,5})$/i.exec(
    authority,
  );
  const host = (match?.[1] ?? match?.[2])?.toLowerCase();
  const port = Number(match?.[3]);
  return host && port > 0 && port < 65_536 ? { host, port } : undefined;
}

function covers(pattern: string, wanted: HostAndPort): boolean {
  const match = /^(\*\.)?(.+?)(?::([0-9]+))?$/.exec(pattern.trim().toLowerCase());
  if (!match?.[2] || Number(match[3] ?? 443) !== wanted.port) return false;
  return match[1] ? wanted.host.endsWith(`.${match[2]}`) : wanted.host === match[2];
}
