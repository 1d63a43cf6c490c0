/** Organisations and tokens as rows of D1, for tests that need more than the first organisation. */
import { createHash, randomBytes } from "node:crypto";
import { newId } from "#protocol/ids.ts";

export type Query = (statement: string, ...values: unknown[]) => Promise<unknown[]>;

export async function newOrganization(query: Query): Promise<string> {
  const organizationId = newId("org");
  await query("INSERT INTO organizations (id, name, created_at) VALUES (?, 'Other', ?)", organizationId, Date.now());
  return organizationId;
}

/** A service token of the given role, in clear. */
export async function newServiceToken(query: Query, organizationId: string, role: string): Promise<string> {
  const token = `gst_${randomBytes(32).toString("base64url")}`;
  await query(
    `INSERT INTO service_tokens (id, token_hash, organization_id, name, role, created_by, created_at)
       VALUES (?, ?, ?, ?, ?, 'test', ?)`,
    ...[newId("tok"), sha256(token), organizationId, `${role} token`, role, Date.now()],
  );
  return token;
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
