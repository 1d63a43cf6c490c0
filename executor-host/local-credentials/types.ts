/**
 * What kinds of proof the operator's own CLIs keep, how each is sent, and when it ends. A sign-in belongs to the CLI that
 * made it: only that CLI's provider gets it.
 */
import type { Vendor } from "../egress/credentials.ts";

export const LOCAL_KINDS = [
  "anthropic-key",
  "anthropic-token",
  "claude-sign-in",
  "openai-key",
  "chatgpt-sign-in",
] as const;
export type LocalKind = (typeof LOCAL_KINDS)[number];

/** What stands beside a value in the same JSON object; empty for a variable. */
type Siblings = Readonly<Record<string, unknown>>;

type Sending = {
  vendor: Vendor;
  /** Left out: every provider of the vendor. */
  providers?: readonly string[];
  /** For people. */
  what: string;
  headers: (value: string, siblings: Siblings) => Record<string, string>;
  /** Where it is good, when that is not the vendor's API. */
  base?: string;
  /** Milliseconds since 1970. */
  expiresAt?: (value: string, siblings: Siblings) => number | undefined;
  /** What renews it. */
  renew?: string;
};

const bearer = (value: string) => ({ authorization: `Bearer ${value}` });

export const SENDING: Readonly<Record<LocalKind, Sending>> = {
  "anthropic-key": { vendor: "anthropic", what: "API key", headers: (value) => ({ "x-api-key": value }) },
  "anthropic-token": { vendor: "anthropic", what: "token", headers: bearer },
  "claude-sign-in": {
    vendor: "anthropic",
    providers: ["claude-code"],
    what: "Claude sign-in",
    // Claude Code says so itself when it holds the token; here it does not know.
    headers: (value) => ({ ...bearer(value), "anthropic-beta": "oauth-2025-04-20" }),
    expiresAt: (_value, { expiresAt }) => (typeof expiresAt === "number" ? expiresAt : undefined),
    renew: "Run claude once on this machine, as the user who signed in",
  },
  "openai-key": { vendor: "openai", what: "API key", headers: bearer },
  "chatgpt-sign-in": {
    vendor: "openai",
    providers: ["codex-app-server"],
    what: "ChatGPT sign-in",
    headers: (value, { account_id: account }) => ({
      ...bearer(value),
      ...(typeof account === "string" ? { "chatgpt-account-id": account } : {}),
    }),
    base: "https://chatgpt.com/backend-api/codex",
    expiresAt: (value) => jwtEnd(value),
    renew: "Run codex once on this machine, as the user who signed in",
  },
};

/** The claim `exp` of a JWT (RFC 7519 §4.1.4), unchecked: it only saves a call that would be refused. */
function jwtEnd(token: string): number | undefined {
  try {
    const { exp } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    return typeof exp === "number" ? exp * 1_000 : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
