/** The host's second key pair (P-256): credentials are sealed to it. Made here, never sent; the public half is in each assertion. */
import { existsSync } from "node:fs";
import { type CryptoKey, compactDecrypt, exportJWK, generateKeyPair, importJWK } from "jose";
import { z } from "zod";
import { type EncryptionKey, encryptionKeySchema, SEAL_ALGORITHMS, sealedDelivery } from "#protocol/credentials.ts";
import { readJson, type StatePaths, writeJson } from "./config.ts";

const privateJwk = encryptionKeySchema.extend({ d: z.string().min(1) });

export type SealedTo = { publicKey: EncryptionKey; privateKey: CryptoKey };

/** The key pair of this state folder, made on first use with mode 0600. @throws Error naming the file when it is damaged */
export async function ensureEncryptionKey(paths: StatePaths): Promise<SealedTo> {
  if (!existsSync(paths.encryptionKey)) {
    const { privateKey } = await generateKeyPair(SEAL_ALGORITHMS.alg, { crv: "P-256", extractable: true });
    writeJson(paths.encryptionKey, await exportJWK(privateKey), 0o600);
  }
  const jwk = readJson(paths.encryptionKey, privateJwk);
  const privateKey = await importJWK(jwk, SEAL_ALGORITHMS.alg);
  if (privateKey instanceof Uint8Array) throw new Error(`${paths.encryptionKey} holds no P-256 key`);
  return { publicKey: encryptionKeySchema.parse(jwk), privateKey };
}

/**
 * Opens what was sealed for exactly this lease.
 * @throws Error when it was sealed to another key, by other algorithms, or for another lease
 */
export async function openDelivery(
  { privateKey }: SealedTo,
  sealed: string,
  expected: { hostId: string; sessionId: string; epoch: number },
): Promise<z.infer<typeof sealedDelivery>["credentials"]> {
  const { plaintext } = await compactDecrypt(sealed, privateKey, {
    keyManagementAlgorithms: [SEAL_ALGORITHMS.alg],
    contentEncryptionAlgorithms: [SEAL_ALGORITHMS.enc],
  });
  const { credentials, ...lease } = sealedDelivery.parse(JSON.parse(new TextDecoder().decode(plaintext)));
  if (lease.hostId !== expected.hostId || lease.sessionId !== expected.sessionId || lease.epoch !== expected.epoch) {
    throw new Error("what was delivered is for another lease");
  }
  return credentials;
}
