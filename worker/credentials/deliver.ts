/** What goes to the host of a session's worker: the credentials that this session may use, sealed to that host alone. */
import { and, eq, isNull } from "drizzle-orm";
import { CompactEncrypt, importJWK } from "jose";
import type { z } from "zod";
import {
  type DeliveredCredential,
  type deliveryAnswer,
  encryptionKeySchema,
  SEAL_ALGORITHMS,
  type sealedDelivery,
} from "#protocol/credentials.ts";
import { apps, credentials, hosts, sessionApps } from "../../migrations/schema.ts";
import type { AppContext } from "../context.ts";
import { database } from "../db/database.ts";
import { withoutNulls } from "../db/runs.ts";
import { refuse } from "../errors.ts";
import { openAtRest, sealAtRest } from "./at-rest.ts";
import { chooseCredentials } from "./choose.ts";

type CredentialRow = typeof credentials.$inferSelect;

/**
 * @param lease was proved by the caller
 * @throws Refused `encryption_key_missing` for a host that has never said one
 */
export async function deliver(
  c: AppContext,
  lease: { hostId: string; sessionId: string; epoch: number },
): Promise<z.infer<typeof deliveryAnswer>> {
  const { organizationId } = c.var.principal;
  const db = database(c.env);
  const [[host], [app], rows] = await db.batch([
    db
      .select({ encryptionKey: hosts.encryptionKey })
      .from(hosts)
      .where(and(eq(hosts.organizationId, organizationId), eq(hosts.id, lease.hostId))),
    db
      .select({ id: apps.id, defaults: apps.runtimeDefaults })
      .from(sessionApps)
      .innerJoin(apps, and(eq(apps.id, sessionApps.appId), eq(apps.organizationId, sessionApps.organizationId)))
      .where(and(eq(sessionApps.organizationId, organizationId), eq(sessionApps.sessionId, lease.sessionId))),
    db
      .select()
      .from(credentials)
      .where(and(eq(credentials.organizationId, organizationId), isNull(credentials.revokedAt))),
  ]);
  if (!host?.encryptionKey) {
    return refuse("encryption_key_missing", "This host has no key to seal credentials to. Start its daemon again.");
  }
  const chosen = chooseCredentials(rows, app && { id: app.id, credentialId: app.defaults.credentialId });
  const opened = (await Promise.all(chosen.map((row) => open(c, row)))).filter((each) => each !== undefined);
  const sealed = await sealTo(host.encryptionKey, { ...lease, credentials: opened });
  if (!app) return { sealed };
  return { sealed, network: { mode: app.defaults.networkPolicy, hosts: app.defaults.allowlist } };
}

/** One that does not open must not keep the others from arriving; the log says which, and never what. */
async function open(c: AppContext, row: CredentialRow): Promise<DeliveredCredential | undefined> {
  const { id, organizationId, kind, baseUrl, header, sealed } = row;
  if (sealed === null) return undefined;
  try {
    const place = { organizationId, credentialId: id };
    const { value, stale } = await openAtRest(c.env, place, sealed);
    if (stale) c.executionCtx.waitUntil(sealAnew(c, row, value));
    return withoutNulls({ id, kind, value, baseUrl, header }) as DeliveredCredential;
  } catch (error) {
    c.var.log.error("credential_unreadable", { credentialId: id, error: String(error) });
    return undefined;
  }
}

/** Only what was read is replaced: a rotation that came in between stays. */
async function sealAnew(c: AppContext, { id, organizationId, sealed }: CredentialRow, value: string): Promise<void> {
  const anew = await sealAtRest(c.env, { organizationId, credentialId: id }, value);
  await database(c.env)
    .update(credentials)
    .set({ sealed: anew })
    .where(
      and(eq(credentials.organizationId, organizationId), eq(credentials.id, id), eq(credentials.sealed, sealed ?? "")),
    );
}

async function sealTo(encryptionKey: string, delivery: z.input<typeof sealedDelivery>): Promise<string> {
  const jwk = encryptionKeySchema.parse(JSON.parse(encryptionKey));
  return await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(delivery)))
    .setProtectedHeader(SEAL_ALGORITHMS)
    .encrypt(await importJWK(jwk, SEAL_ALGORITHMS.alg));
}
