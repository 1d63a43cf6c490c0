/** The host's Ed25519 key pair: made here, never sent. Only the public half leaves the machine. */
import { existsSync } from "node:fs";
import { type CryptoKey, exportJWK, generateKeyPair, importJWK, SignJWT } from "jose";
import { z } from "zod";
import type { EncryptionKey } from "#protocol/credentials.ts";
import { publicKeySchema } from "#protocol/http.ts";
import { readJson, type StatePaths, writeJson } from "./config.ts";

const privateJwk = publicKeySchema.extend({ d: z.string().min(1) });

export type PublicKey = z.infer<typeof publicKeySchema>;
export type HostKey = { publicKey: PublicKey; privateKey: CryptoKey };

const ASSERTION_SECONDS = 60;

/** The key pair of this state folder, made on first use with mode 0600. */
export async function ensureHostKey(paths: StatePaths): Promise<HostKey> {
  if (!existsSync(paths.key)) {
    const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
    writeJson(paths.key, await exportJWK(privateKey), 0o600);
  }
  return await readHostKey(paths);
}

/** @throws Error when there is none, or it is damaged */
export async function readHostKey(paths: StatePaths): Promise<HostKey> {
  const jwk = readJson(paths.key, privateJwk);
  const privateKey = await importJWK(jwk, "EdDSA");
  if (privateKey instanceof Uint8Array) throw new Error(`${paths.key} holds no Ed25519 key`);
  return { publicKey: publicKeySchema.parse(jwk), privateKey };
}

/**
 * A private-key JWT (RFC 7523): iss = sub = host, aud = the control plane's origin, good for 60 s and once.
 * It carries the public key that credentials are sealed to, so that this is the host's own word, too.
 * @param nowMs the server's time, as far as it is known
 */
export async function signAssertion(
  key: HostKey,
  encryptionKey: EncryptionKey,
  hostId: string,
  { audience, nowMs }: { audience: string; nowMs: number },
): Promise<string> {
  const issuedAt = Math.floor(nowMs / 1_000);
  return await new SignJWT({ enc_key: encryptionKey })
    .setProtectedHeader({ alg: "EdDSA", typ: "JWT" })
    .setIssuer(hostId)
    .setSubject(hostId)
    .setAudience(audience)
    .setJti(crypto.randomUUID())
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + ASSERTION_SECONDS)
    .sign(key.privateKey);
}
