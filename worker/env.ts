/** What the Worker is given: bindings of wrangler.toml, and secrets that have no default. */
import { type Rejection, reject } from "#protocol/objects.ts";
import { type S3Variables, s3Settings } from "./store/s3-settings.ts";

export type Env = S3Variables & {
  DB: D1Database;
  STORE: R2Bucket;
  ASSETS: Fetcher;
  SESSION: DurableObjectNamespace;
  FLEET: DurableObjectNamespace;
  /** Signs the tokens of hosts. */
  SIGNING_KEY: string;
  /** Seals provider credentials at rest. */
  ENCRYPTION_KEY: string;
  /** Comma-separated: what ENCRYPTION_KEY was before. Opens what was sealed then. */
  ENCRYPTION_KEY_PREVIOUS?: string;
  /** Lets the operator make the first administrator's sign-in link. */
  BOOTSTRAP_TOKEN: string;
  /** Comma-separated exact origins that may use the API with a person's cookie, besides the Worker's own. */
  ALLOWED_ORIGINS?: string;
};

export const SECRET_NAMES = ["SIGNING_KEY", "ENCRYPTION_KEY", "BOOTSTRAP_TOKEN"] as const;
const MIN_SECRET_CHARS = 32;
/** What people paste from examples. A random secret contains none of these. */
const SAMPLE = /change.?me|example|placeholder|your.?secret|insecure|password|0123456789abcdef0123456789abcdef/i;

/**
 * Checks that every secret is there and can be one, and that the variables of a store of one's own are complete.
 * @returns undefined, or the refusal `misconfigured` that every route then answers; it names the variable, not its value
 */
export function requireSecrets(
  env: Partial<Record<(typeof SECRET_NAMES)[number], unknown>> & S3Variables,
): Rejection | undefined {
  const seen = new Set<string>();
  for (const name of SECRET_NAMES) {
    const problem = secretProblem(env[name], seen);
    if (problem) return reject("misconfigured", `${name} ${problem}. Set it and start again.`, { variable: name });
  }
  const s3 = s3Settings(env);
  return s3 !== undefined && "ok" in s3 ? s3 : undefined;
}

function secretProblem(value: unknown, seen: Set<string>): string | undefined {
  if (typeof value !== "string" || value === "") return "is missing";
  if (value.length < MIN_SECRET_CHARS) return `has fewer than ${MIN_SECRET_CHARS} characters`;
  if (SAMPLE.test(value) || new Set(value).size < 8) return "is a sample value, not a secret";
  if (seen.has(value)) return "is the same as another secret";
  seen.add(value);
  return undefined;
}

/** The origins that a browser may come from and that a host may name as audience. Compared whole, never in part. */
export function trustedOrigins(requestUrl: string, env: Pick<Env, "ALLOWED_ORIGINS">): Set<string> {
  const listed = (env.ALLOWED_ORIGINS ?? "").split(",").map((origin) => origin.trim());
  return new Set([new URL(requestUrl).origin, ...listed.filter((origin) => origin !== "")]);
}
