/** The host's two questions about credentials. The answers are held in memory and nowhere else. */
import type { z } from "zod";
import { credentialKindsAnswer, type DeliveredCredential, deliveryAnswer } from "#protocol/credentials.ts";
import type { CredentialKind } from "#protocol/vocabulary.ts";
import type { HostIdentity } from "../config.ts";
import { openDelivery, type SealedTo } from "../encryption-key.ts";
import type { NetworkPolicy } from "./policy.ts";

const TIMEOUT_MS = 10_000;

export type Lease = { sessionId: string; epoch: number };
export type Delivery = {
  /** The app's word; undefined for a session without app. */
  policy: NetworkPolicy | undefined;
  credentials: readonly DeliveredCredential[];
};

/** The control plane answered, and its answer was no: what was delivered before must not be used any more. */
export class DeliveryRefused extends Error {
  constructor(reason: string) {
    super(`the control plane gives this session nothing: ${reason}`);
    this.name = "DeliveryRefused";
  }
}

export type ControlCredentials = {
  /** @throws DeliveryRefused, or another Error when nothing understandable answers */
  deliver(lease: Lease, used: readonly string[]): Promise<Delivery>;
  /** The kinds that some session could be given. @throws Error when nothing understandable answers */
  kinds(): Promise<readonly CredentialKind[]>;
};

export type ControlCredentialsNeeds = {
  identity: Pick<HostIdentity, "hostId" | "controlUrl">;
  key: SealedTo;
  /** The host's token; `refused`: the last one was no good. */
  token(refused: boolean): Promise<string>;
  fetch: typeof fetch;
};

export function controlCredentials(needs: ControlCredentialsNeeds): ControlCredentials {
  const { hostId } = needs.identity;
  return {
    deliver: async ({ sessionId, epoch }, used) => {
      const answer = await ask(needs, deliveryAnswer, { sessionId, epoch, used: used.slice(0, 100) });
      const credentials = await openDelivery(needs.key, answer.sealed, { hostId, sessionId, epoch });
      return { policy: answer.network && policyOf(answer.network), credentials };
    },
    kinds: async () => (await ask(needs, credentialKindsAnswer)).kinds,
  };
}

function policyOf({ mode, hosts }: { mode: NetworkPolicy["mode"]; hosts: string[] }): NetworkPolicy {
  return mode === "allowlist" ? { mode, hosts } : { mode };
}

async function ask<T>(needs: ControlCredentialsNeeds, schema: z.ZodType<T>, body?: object): Promise<T> {
  const attempt = async (refused: boolean) =>
    await needs.fetch(`${needs.identity.controlUrl}/api/hosts/${needs.identity.hostId}/credentials`, {
      method: body ? "POST" : "GET",
      headers: {
        authorization: `Bearer ${await needs.token(refused)}`,
        ...(body ? { "content-type": "application/json" } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  let response = await attempt(false);
  if (response.status === 401) {
    await response.body?.cancel();
    response = await attempt(true);
  }
  if (response.ok) return schema.parse(await response.json());
  const { reason = `HTTP ${response.status}` } = (await response.json().catch(() => ({}))) as { reason?: string };
  // Busy and broken pass; a lease that is gone, a host that was removed, a session that is not there do not.
  if (response.status >= 500 || response.status === 429) throw new Error(reason);
  throw new DeliveryRefused(reason);
}
