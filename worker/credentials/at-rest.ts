/**
 * How a credential lies in D1: AES-256-GCM under a key of its organisation, derived from ENCRYPTION_KEY (HKDF, RFC 5869).
 *
 *   v1.<key id>.<nonce>.<ciphertext and tag>          each part base64url
 *
 * The key id says which secret sealed it, so that ENCRYPTION_KEY can be changed: the old one goes to
 * ENCRYPTION_KEY_PREVIOUS, is opened by that, and is sealed anew when it is next delivered. The credential's own id is
 * authenticated with it: a row's value that is copied into another row does not open there.
 */
import { base64url } from "jose";

/** GCM's own nonce length (NIST SP 800-38D §8.2). Random: a key seals far fewer than 2^32 values. */
const NONCE_BYTES = 12;

export type SealingSecrets = { ENCRYPTION_KEY: string; ENCRYPTION_KEY_PREVIOUS?: string };
export type Place = { organizationId: string; credentialId: string };

export async function sealAtRest(secrets: SealingSecrets, place: Place, value: string): Promise<string> {
  const { ENCRYPTION_KEY: secret } = secrets;
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv: nonce, additionalData: boundTo(place) },
    await organizationKey(secret, place.organizationId),
    new TextEncoder().encode(value),
  );
  return ["v1", await keyId(secret), base64url.encode(nonce), base64url.encode(new Uint8Array(sealed))].join(".");
}

/**
 * @returns the value, and whether it was sealed with an older secret and should be sealed anew
 * @throws Error when no secret that is there has sealed it, or it is not this row's
 */
export async function openAtRest(
  secrets: SealingSecrets,
  place: Place,
  sealed: string,
): Promise<{ value: string; stale: boolean }> {
  const [version, id, nonce, ciphertext] = sealed.split(".");
  if (version !== "v1" || !nonce || !ciphertext) throw new Error(`credential ${place.credentialId} is damaged`);
  for (const secret of [secrets.ENCRYPTION_KEY, ...(secrets.ENCRYPTION_KEY_PREVIOUS ?? "").split(",")]) {
    if (secret === "" || (await keyId(secret)) !== id) continue;
    const opened = await crypto.subtle.decrypt(
      { name: "AES-GCM", iv: bytesOf(nonce), additionalData: boundTo(place) },
      await organizationKey(secret, place.organizationId),
      bytesOf(ciphertext),
    );
    return { value: new TextDecoder().decode(opened), stale: secret !== secrets.ENCRYPTION_KEY };
  }
  throw new Error(
    `credential ${place.credentialId} was sealed with another ENCRYPTION_KEY; put that into ENCRYPTION_KEY_PREVIOUS`,
  );
}

const bytesOf = (text: string) => new Uint8Array(base64url.decode(text));
const boundTo = ({ organizationId, credentialId }: Place) =>
  new TextEncoder().encode(`${organizationId}/${credentialId}`);

async function organizationKey(secret: string, organizationId: string): Promise<CryptoKey> {
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), "HKDF", false, ["deriveKey"]);
  return await crypto.subtle.deriveKey(
    derivation("credential", organizationId),
    key,
    { name: "AES-GCM", length: 256 },
    false,
    ["encrypt", "decrypt"],
  );
}

/** Eight characters that follow from the secret and say nothing about it. */
async function keyId(secret: string): Promise<string> {
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), "HKDF", false, ["deriveBits"]);
  return base64url.encode(new Uint8Array(await crypto.subtle.deriveBits(derivation("key-id", ""), key, 48)));
}

function derivation(purpose: string, organizationId: string) {
  const bytes = (text: string) => new TextEncoder().encode(text);
  return { name: "HKDF", hash: "SHA-256", salt: bytes(organizationId), info: bytes(`gantry/${purpose}/v1`) };
}
