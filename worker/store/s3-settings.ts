/** The operator's choice of store: R2, bound in wrangler.toml, or the S3-compatible bucket that these variables name. */
import { type Rejection, reject } from "#protocol/objects.ts";

export const S3_VARIABLES = [
  "S3_ENDPOINT",
  "S3_BUCKET",
  "S3_REGION",
  "S3_ACCESS_KEY_ID",
  "S3_SECRET_ACCESS_KEY",
] as const;
export type S3Variables = Partial<Record<(typeof S3_VARIABLES)[number], string>>;
export type S3Settings = {
  /** Origin of the store's S3 API; hosts reach it, too. */
  endpoint: string;
  bucket: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
};

/**
 * What the variables say: undefined for R2 (none is set), the settings when all are, else the refusal `misconfigured`
 * that every route then answers. It names variables, never values.
 */
export function s3Settings(env: S3Variables): S3Settings | Rejection | undefined {
  const missing = S3_VARIABLES.filter((name) => (env[name] ?? "") === "");
  if (missing.length === S3_VARIABLES.length) return undefined;
  const all = S3_VARIABLES.join(", ");
  if (missing.length > 0)
    return misconfigured(
      missing[0]!,
      `${missing.join(", ")} missing: set all of ${all} for an S3 store, or none for R2.`,
    );
  const problem = endpointProblem(env.S3_ENDPOINT!);
  if (problem !== undefined) return misconfigured("S3_ENDPOINT", `S3_ENDPOINT ${problem}.`);
  return {
    endpoint: new URL(env.S3_ENDPOINT!).origin,
    bucket: env.S3_BUCKET!,
    region: env.S3_REGION!,
    accessKeyId: env.S3_ACCESS_KEY_ID!,
    secretAccessKey: env.S3_SECRET_ACCESS_KEY!,
  };
}

function endpointProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return "is no URL";
  const { protocol, hostname, pathname, search } = new URL(text);
  if (pathname !== "/" || search !== "") return "has to be an origin, without the bucket or a path behind it";
  const near = ["127.0.0.1", "localhost", "[::1]"].includes(hostname);
  return protocol === "https:" || (protocol === "http:" && near) ? undefined : "has to begin with https://";
}

function misconfigured(variable: string, message: string): Rejection {
  return reject("misconfigured", message, { variable });
}
