import { createHmac, createSign, generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { TIMES } from "#protocol/limits.ts";
import { mintHostToken, verifyHostToken } from "../../durable/shell/host-token.ts";

const KEY = "a-signing-key-for-this-test-83b1c9d7e5f2";
const HOST = { hostId: "hst_0123456789abcdefghij", organizationId: "org_0123456789abcdefghij", pool: "default" };
const NOW = Date.UTC(2026, 10, 21, 12, 0, 0, 250);

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
const HEADER = { alg: "HS256", typ: "gantry-host+jwt" };
const CLAIMS = {
  sub: HOST.hostId,
  org: HOST.organizationId,
  pool: "default",
  iss: "gantry",
  aud: "gantry-host",
  iat: Math.floor(NOW / 1000),
  exp: Math.floor(NOW / 1000) + 60,
};
function sign(header: object, claims: object, key = KEY): string {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
}

describe("[P-5] host tokens", () => {
  test("say who the host is until they end", async () => {
    const { token, expiresAt } = await mintHostToken(KEY, { ...HOST, nowMs: NOW });
    expect(expiresAt).toBe(Math.floor(NOW / 1000) * 1000 + TIMES.tokenMs);
    expect(await verifyHostToken(KEY, token, NOW)).toEqual({ ok: true, ...HOST });
    expect(await verifyHostToken(KEY, token, expiresAt - 1)).toMatchObject({ ok: true });
    expect(await verifyHostToken(KEY, token, expiresAt)).toMatchObject({ ok: false, reason: "token_expired" });
  });

  test("the hand-made token of this test is otherwise good", async () => {
    expect(await verifyHostToken(KEY, sign(HEADER, CLAIMS), NOW)).toMatchObject({ ok: true });
  });

  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const rsa = `${part({ ...HEADER, alg: "RS256" })}.${part(CLAIMS)}`;
  const rejected: Record<string, string> = {
    "algorithm none": `${part({ ...HEADER, alg: "none" })}.${part(CLAIMS)}.`,
    "algorithm None": `${part({ ...HEADER, alg: "None" })}.${part(CLAIMS)}.`,
    "an RSA signature": `${rsa}.${createSign("sha256").update(rsa).sign(privateKey, "base64url")}`,
    "HS256 with a public key as secret": sign(
      HEADER,
      CLAIMS,
      publicKey.export({ type: "spki", format: "pem" }).toString(),
    ),
    HS512: sign({ ...HEADER, alg: "HS512" }, CLAIMS),
    "another key": sign(HEADER, CLAIMS, `${KEY}x`),
    "another type": sign({ alg: "HS256", typ: "JWT" }, CLAIMS),
    "no type": sign({ alg: "HS256" }, CLAIMS),
    "another audience": sign(HEADER, { ...CLAIMS, aud: "gantry-person" }),
    "another issuer": sign(HEADER, { ...CLAIMS, iss: "someone" }),
    "no subject": sign(HEADER, { ...CLAIMS, sub: undefined }),
    "a subject that is no host": sign(HEADER, { ...CLAIMS, sub: "usr_0123456789abcdefghij" }),
    "no organisation": sign(HEADER, { ...CLAIMS, org: undefined }),
    "no end": sign(HEADER, { ...CLAIMS, exp: undefined }),
    "not valid yet": sign(HEADER, { ...CLAIMS, nbf: CLAIMS.iat + 30 }),
    "a key of its own in the header": sign({ ...HEADER, jwk: { kty: "oct", k: "AA" } }, CLAIMS, "AA"),
    "a changed claim": sign(HEADER, CLAIMS).replace(part(CLAIMS), part({ ...CLAIMS, sub: "hst_zzzzzzzzzzzzzzzzzzzz" })),
    "no token at all": "",
    "three dots": "...",
    "not base64": "ä.ö.ü",
  };
  test.each(Object.entries(rejected))("%s is rejected", async (_what, token) => {
    expect(await verifyHostToken(KEY, token, NOW)).toMatchObject({ ok: false, reason: "token_rejected" });
  });
});
