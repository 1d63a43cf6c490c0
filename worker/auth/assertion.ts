/**
 * A host proves who it is with a JWT that it signs itself (RFC 7523): EdDSA and nothing else, issuer and subject the
 * host's id, audience this very control plane, at most a minute of life, and every `jti` once.
 */
import { errors, importJWK, type JWTPayload, jwtVerify } from "jose";
import { usedAssertions } from "../../migrations/schema.ts";
import type { Database } from "../db/database.ts";
import { refuse } from "../errors.ts";

const ALGORITHMS = ["EdDSA"];
const MAX_LIFE_S = 60;
/** Clocks differ. The answer to a refusal carries the server's time, so a host that is further off can correct itself. */
const TOLERANCE_S = 5;
const JTI = /^[\x21-\x7e]{8,128}$/;

export type AssertingHost = { id: string; organizationId: string; publicKey: string };

/**
 * Checks an assertion of this host and uses its `jti` up.
 * @param audiences the origins under which this control plane is known
 * @returns what else the host has said in it
 * @throws Refused `assertion_rejected`, `assertion_expired`, `assertion_replayed`
 */
export async function verifyAssertion(
  db: Database,
  host: AssertingHost,
  assertion: string,
  { audiences, nowMs }: { audiences: ReadonlySet<string>; nowMs: number },
): Promise<JWTPayload> {
  const claims = await readClaims(host, assertion, { audiences, nowMs });
  const exp = claims.exp ?? 0;
  if (exp > nowMs / 1_000 + MAX_LIFE_S + TOLERANCE_S) {
    refuse("assertion_rejected", `an assertion lives at most ${MAX_LIFE_S} s; check this machine's clock`, { nowMs });
  }
  const { jti } = claims;
  if (typeof jti !== "string" || !JTI.test(jti)) return refuse("assertion_rejected", "jti is missing or not one");
  const { meta } = await db
    .insert(usedAssertions)
    .values({
      organizationId: host.organizationId,
      hostId: host.id,
      jti,
      expiresAt: (exp + TOLERANCE_S) * 1_000,
    })
    .onConflictDoNothing()
    .run();
  if (meta.changes === 0) refuse("assertion_replayed", "this assertion was already used; sign a new one");
  return claims;
}

async function readClaims(
  host: AssertingHost,
  assertion: string,
  { audiences, nowMs }: { audiences: ReadonlySet<string>; nowMs: number },
): Promise<JWTPayload> {
  const key = await importJWK({ kty: "OKP", crv: "Ed25519", x: host.publicKey }, "EdDSA");
  try {
    const { payload } = await jwtVerify(assertion, key, {
      algorithms: ALGORITHMS,
      issuer: host.id,
      subject: host.id,
      audience: [...audiences],
      currentDate: new Date(nowMs),
      clockTolerance: TOLERANCE_S,
      requiredClaims: ["exp", "jti"],
    });
    return payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired) {
      return refuse("assertion_expired", "the assertion has expired; check this machine's clock", { nowMs });
    }
    if (error instanceof errors.JWTClaimValidationFailed) {
      return refuse("assertion_rejected", `the claim ${error.claim} is not what it has to be`, {
        claim: error.claim,
        nowMs,
      });
    }
    if (error instanceof errors.JOSEError)
      return refuse("assertion_rejected", "the assertion is not signed by this host");
    throw error;
  }
}
