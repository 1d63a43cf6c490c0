/**
 * From what was delivered and the operator's settings to the table of model providers that the egress proxy may reach,
 * each with what proves to it who pays. For each: a delivered credential, else what the operator told this host to use
 * (`gantry host credentials`), else a key in the daemon's environment, else none.
 * A key lives in a closure: it is in no field, so that logging, inspecting or serialising the table cannot
 * show it.
 */

import type { DeliveredCredential } from "#protocol/credentials.ts";
import type { CredentialKind } from "#protocol/vocabulary.ts";

/** Which way of authenticating, of saying errors and of naming paths a provider's API has. */
export type Vendor = "anthropic" | "openai";

export type ReadyUpstream = {
  readonly state: "ready";
  readonly vendor: Vendor;
  /** What the rest of a request's path is appended to. */
  readonly baseUrl: URL;
  /** The headers that authenticate; none for a model server on this machine that wants no key. */
  readonly keyHeaders: () => Readonly<Record<string, string>>;
  /** The delivered credential that it uses. */
  readonly credentialId?: string;
  /** The address came with a credential and not from this machine's operator: only public addresses are dialled. */
  readonly publicOnly: boolean;
  readonly toJSON: () => unknown;
};
export type UnreadyUpstream = {
  readonly state: "unready";
  readonly vendor: Vendor;
  readonly reason: "auth_missing" | "misconfigured";
  /** For people: what is wrong, and what to do. Neither holds a value of any setting. */
  readonly message: string;
  readonly fix: string;
};
export type Upstream = ReadyUpstream | UnreadyUpstream;

/** By the name that stands in `/provider/<name>/…`. */
export type UpstreamTable = ReadonlyMap<string, Upstream>;

/** Names and values as in an environment: the daemon's own. */
export type Settings = Readonly<Record<string, string | undefined>>;

/** Something that the operator chose by hand: when it does not work, nothing silently takes its place. */
export type OwnKey = {
  readonly vendor: Vendor;
  /** The only ones that it is for; left out: every provider of the vendor. */
  readonly providers?: readonly string[];
} & (
  | { readonly state: "ready"; readonly headers: () => Record<string, string>; readonly defaultBase?: string }
  | { readonly state: "unready"; readonly message: string; readonly fix: string }
);

type Key = { variable: string; header: (key: string) => Record<string, string> };
type Source = {
  vendor: Vendor;
  /** Of delivered credentials. */
  kinds: readonly CredentialKind[];
  baseVariable: string;
  defaultBase: string;
  /** The first is also how a delivered credential is sent. */
  keys: readonly [Key, ...Key[]];
};

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

const anthropic: Source = {
  vendor: "anthropic",
  kinds: ["anthropic"],
  baseVariable: "ANTHROPIC_BASE_URL",
  defaultBase: "https://api.anthropic.com",
  keys: [
    { variable: "ANTHROPIC_API_KEY", header: (key) => ({ "x-api-key": key }) },
    { variable: "ANTHROPIC_AUTH_TOKEN", header: bearer },
  ],
};
const openai: Source = {
  vendor: "openai",
  kinds: ["openai", "openai-compatible"],
  baseVariable: "OPENAI_BASE_URL",
  defaultBase: "https://api.openai.com/v1",
  keys: [{ variable: "OPENAI_API_KEY", header: bearer }],
};

/** Providers that can talk to several vendors name the vendor in the path instead. */
const sources: Readonly<Record<string, Source>> = {
  "claude-code": anthropic,
  "codex-app-server": openai,
  opencode: openai,
  native: openai,
  anthropic,
  openai,
};

/** Pure; never throws: what is wrong with one provider is said by that provider's row. */
export function upstreamsFrom(
  settings: Settings,
  delivered: readonly DeliveredCredential[] = [],
  chosen: readonly OwnKey[] = [],
): UpstreamTable {
  return new Map(
    Object.entries(sources).map(([name, source]) => {
      const credential = delivered.find(({ kind }) => source.kinds.includes(kind));
      const own = chosen.find(({ vendor, providers }) => {
        return vendor === source.vendor && (providers === undefined || providers.includes(name));
      });
      return [name, upstreamFrom(source, settings, credential, own)];
    }),
  );
}

/** The table as it would be if a credential of each of these kinds were delivered: for readiness, without any key of theirs. */
export function withKinds(table: UpstreamTable, kinds: readonly CredentialKind[]): UpstreamTable {
  return new Map(
    [...table].map(([name, upstream]) => {
      const source = sources[name];
      const lacksKey = upstream.state === "unready" && upstream.reason === "auth_missing";
      if (!source || !lacksKey || !source.kinds.some((kind) => kinds.includes(kind))) return [name, upstream];
      return [name, ready(source.vendor, new URL(source.defaultBase), {})];
    }),
  );
}

function upstreamFrom(
  source: Source,
  settings: Settings,
  delivered: DeliveredCredential | undefined,
  chosen: OwnKey | undefined,
): Upstream {
  const { vendor, baseVariable } = source;
  const elsewhere = delivered === undefined && chosen?.state === "ready" ? chosen.defaultBase : undefined;
  const own = parseBase(settings[baseVariable]?.trim() || (elsewhere ?? source.defaultBase));
  const baseUrl = delivered?.baseUrl === undefined ? own : parseBase(delivered.baseUrl);
  if (!baseUrl) {
    const message = `${baseVariable} has to be an http or https URL without user, password, query and fragment.`;
    return misconfigured(vendor, baseVariable, message);
  }
  if (delivered) {
    const publicOnly = delivered.baseUrl !== undefined && baseUrl.origin !== own?.origin;
    return ready(vendor, baseUrl, source.keys[0].header(delivered.value), { credentialId: delivered.id, publicOnly });
  }
  if (chosen?.state === "ready") return ready(vendor, baseUrl, chosen.headers());
  if (chosen) return { state: "unready", vendor, reason: "auth_missing", message: chosen.message, fix: chosen.fix };
  const key = source.keys.find(({ variable }) => settings[variable]?.trim());
  const value = key && settings[key.variable]?.trim();
  if (key && value) {
    // RFC 9110 §5.5: what is not visible ASCII cannot be in a header, and says so too late and with the key in the text.
    if (/^[\x21-\x7e]+$/.test(value)) return ready(vendor, baseUrl, key.header(value));
    const message = `${key.variable} holds characters that no key has.`;
    return misconfigured(vendor, key.variable, message);
  }
  if (isLoopback(baseUrl.hostname)) return ready(vendor, baseUrl, {});
  const names = source.keys.map(({ variable }) => variable).join(" or ");
  const message = `There is no key for ${baseUrl.host}.`;
  const fix = `Add one under Credentials in the portal, or ${settingFix(names)}`;
  return { state: "unready", vendor, reason: "auth_missing", message, fix };
}

function misconfigured(vendor: Vendor, variable: string, message: string): UnreadyUpstream {
  return { state: "unready", vendor, reason: "misconfigured", message, fix: `Correct it: ${settingFix(variable)}` };
}

const settingFix = (names: string) => `set ${names} in the environment of the host's daemon, and start it again.`;

function ready(
  vendor: Vendor,
  baseUrl: URL,
  headers: Record<string, string>,
  origin: Pick<ReadyUpstream, "publicOnly" | "credentialId"> = { publicOnly: false },
): ReadyUpstream {
  const authenticated = Object.keys(headers).length > 0;
  return {
    state: "ready",
    vendor,
    baseUrl,
    keyHeaders: () => headers,
    ...origin,
    toJSON: () => ({ state: "ready", vendor, baseUrl: baseUrl.href, key: authenticated ? "[redacted]" : "none" }),
  };
}

function parseBase(text: string): URL | undefined {
  const url = URL.parse(text);
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:")) return undefined;
  return url.username || url.password || url.search || url.hash ? undefined : url;
}

/** A host name as `URL.hostname` writes it. */
function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.[0-9]{1,3}){3}$/.test(hostname);
}
