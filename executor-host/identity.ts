/** The two calls by which a host makes itself known: join once, connect whenever it needs a token. */
import { z } from "zod";
import type { EncryptionKey } from "#protocol/credentials.ts";
import { connectAnswer, errorBody, joinAnswer } from "#protocol/http.ts";
import type { HostIdentity } from "./config.ts";
import { type HostKey, type PublicKey, signAssertion } from "./host-key.ts";

/** The control plane's answer was a refusal. `terminal`: asking again cannot help, only a person can. */
export class ControlRefused extends Error {
  readonly status: number;
  readonly reason: string;
  readonly terminal: boolean;

  constructor(status: number, reason: string, message: string, terminal: boolean) {
    super(message);
    this.name = "ControlRefused";
    this.status = status;
    this.reason = reason;
    this.terminal = terminal;
  }
}

export type Connection = z.infer<typeof connectAnswer>;
export type JoinAnswer = z.infer<typeof joinAnswer>;
export type HttpNeeds = { fetch: typeof fetch; now: () => number };

const HTTP_TIMEOUT_MS = 15_000;
/** Less than this is no reason for a refused assertion. */
const MIN_SKEW_MS = 2_000;

/**
 * Trades a join token for a host id. The same key again gives the same host.
 * @throws ControlRefused, or fetch's TypeError when nothing answers
 */
export async function joinHost(
  input: { controlUrl: string; joinToken: string; publicKey: PublicKey; name: string },
  { fetch }: HttpNeeds,
): Promise<JoinAnswer> {
  const { controlUrl, ...body } = input;
  const response = await post(fetch, `${controlUrl}/api/hosts/join`, body);
  return await answer(response, joinAnswer);
}

/**
 * Gets a token and where to dial. When the machine's clock is wrong enough for the assertion to be refused, the time that
 * the refusal tells is used for a second try: a host with a wrong clock is a healthy host.
 * @throws ControlRefused, or fetch's TypeError when nothing answers
 */
export async function connectHost(
  identity: HostIdentity,
  { key, encryptionKey }: { key: HostKey; encryptionKey: EncryptionKey },
  needs: HttpNeeds,
): Promise<Connection> {
  const { hostId, controlUrl } = identity;
  const url = `${controlUrl}/api/hosts/${hostId}/connect`;
  const attempt = async (nowMs: number) =>
    await post(needs.fetch, url, {
      assertion: await signAssertion(key, encryptionKey, hostId, { audience: new URL(controlUrl).origin, nowMs }),
    });
  const response = await attempt(needs.now());
  if (response.status === 401) {
    const serverNow = await serverTime(response.clone());
    if (Math.abs(serverNow - needs.now()) > MIN_SKEW_MS) {
      await response.body?.cancel();
      return await answer(await attempt(serverNow), connectAnswer);
    }
  }
  return await answer(response, connectAnswer);
}

const refusedAt = z.object({ details: z.object({ nowMs: z.number() }) });

/** A refusal says what time it is; `Date` is for one that something in between has answered. NaN when neither tells. */
async function serverTime(response: Response): Promise<number> {
  const refusal = refusedAt.safeParse(await response.json().catch(() => undefined));
  return refusal.success ? refusal.data.details.nowMs : Date.parse(response.headers.get("date") ?? "");
}

function post(fetcher: typeof fetch, url: string, body: unknown): Promise<Response> {
  return fetcher(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(HTTP_TIMEOUT_MS),
  });
}

async function answer<T>(response: Response, schema: z.ZodType<T>): Promise<T> {
  const text = await response.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // Something in between answered (a proxy, a captive portal): no word of the control plane's own, so not terminal.
    throw new ControlRefused(
      response.status,
      "not_json",
      `HTTP ${response.status} without JSON from ${response.url}`,
      false,
    );
  }
  if (!response.ok) {
    const refusal = errorBody.safeParse(json);
    if (!refusal.success) throw new ControlRefused(response.status, "http_error", `HTTP ${response.status}`, false);
    const { reason, message } = refusal.data;
    throw new ControlRefused(response.status, reason, message, [403, 404, 409, 410].includes(response.status));
  }
  return schema.parse(json);
}
