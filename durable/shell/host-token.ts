/**
 * The token by which a host is known on every link and at the store. It says which host, of which
 * organisation and pool; whether that host may do what it asks is the receiver's own question.
 *
 * The control plane signs and checks it with one secret, so HS256 is enough, and it is the only algorithm accepted: a
 * token that names another one is refused before its signature is looked at.
 */
import { errors, jwtVerify, SignJWT } from "jose";
import { hostIdSchema } from "#protocol/ids.ts";
import { TIMES } from "#protocol/limits.ts";
import { type Result, reject } from "#protocol/objects.ts";

const ALGORITHM = "HS256";
const TYPE = "gantry-host+jwt";
const ISSUER = "gantry";
const AUDIENCE = "gantry-host";

/** What a host token says. */
export type HostClaims = { hostId: string; organizationId: string; pool: string };

/**
 * Signs a token that is good for `TIMES.tokenMs` from `nowMs` on.
 * @returns the compact JWT and its end in milliseconds since 1970, rounded down to the second it really has
 */
export async function mintHostToken(
  signingKey: string,
  { hostId, organizationId, pool, nowMs }: HostClaims & { nowMs: number },
): Promise<{ token: string; expiresAt: number }> {
  const issuedAt = Math.floor(nowMs / 1_000);
  const expiresAt = issuedAt + Math.floor(TIMES.tokenMs / 1_000);
  const token = await new SignJWT({ org: organizationId, pool })
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(hostId)
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiresAt)
    .sign(keyBytes(signingKey));
  return { token, expiresAt: expiresAt * 1_000 };
}

/**
 * Checks signature, algorithm, type, issuer, audience and expiry (by the server's clock, without tolerance).
 * @returns the claims, or `token_expired` / `token_rejected`
 */
export async function verifyHostToken(signingKey: string, token: string, nowMs: number): Promise<Result<HostClaims>> {
  try {
    const { payload } = await jwtVerify(token, keyBytes(signingKey), {
      algorithms: [ALGORITHM],
      typ: TYPE,
      issuer: ISSUER,
      audience: AUDIENCE,
      currentDate: new Date(nowMs),
      requiredClaims: ["sub", "exp", "iat"],
    });
    const { sub, org, pool } = payload;
    if (!hostIdSchema.safeParse(sub).success || typeof org !== "string" || typeof pool !== "string") {
      return reject("token_rejected", "the token does not name a host");
    }
    return { ok: true, hostId: sub as string, organizationId: org, pool };
  } catch (error) {
    if (error instanceof errors.JWTExpired) return reject("token_expired", "the token has expired");
    if (error instanceof errors.JOSEError) return reject("token_rejected", "the token is not valid here");
    throw error;
  }
}

function keyBytes(signingKey: string): Uint8Array {
  return new TextEncoder().encode(signingKey);
}
