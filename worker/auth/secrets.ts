/** Random secrets that only their owner keeps: we store the SHA-256, so a copy of the database opens nothing. */
const SECRET_BYTES = 32;

/** gst: service token, gjt: host join token, gsl: sign-in link, gbs: browser session. */
export type SecretKind = "gst" | "gjt" | "gsl" | "gbs";

/** A new secret: `kind_` and 43 characters (256 bits, base64url). */
export function newSecret(kind: SecretKind): string {
  return `${kind}_${base64Url(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)))}`;
}

/** True for what `newSecret` could have made; saves a query for everything else. */
export function looksLikeSecret(kind: SecretKind, text: string): boolean {
  return text.startsWith(`${kind}_`) && /^[A-Za-z0-9_-]{43}$/.test(text.slice(kind.length + 1));
}

export async function sha256Hex(text: string): Promise<string> {
  return [...(await digest(text))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Compares in a time that tells nothing about how much of the guess was right. */
export async function sameSecret(given: string, expected: string): Promise<boolean> {
  const [a, b] = await Promise.all([digest(given), digest(expected)]);
  return a.reduce((difference, byte, index) => difference | (byte ^ (b[index] ?? 0)), 0) === 0;
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
