/** Service tokens: how programs come in. Shown once, stored as a hash, revocable, with a role. */
import { newId } from "#protocol/ids.ts";
import { type Role, serviceTokens } from "../../migrations/schema.ts";
import type { Database } from "../db/database.ts";
import { newSecret, sha256Hex } from "./secrets.ts";

export type NewServiceToken = { organizationId: string; name: string; role: Role; createdBy: string; nowMs: number };

/** @returns the token itself, which nobody can read again */
export async function mintServiceToken(
  db: Database,
  { organizationId, name, role, createdBy, nowMs }: NewServiceToken,
): Promise<{ id: string; token: string }> {
  const token = newSecret("gst");
  const id = newId("tok");
  await db
    .insert(serviceTokens)
    .values({ id, tokenHash: await sha256Hex(token), organizationId, name, role, createdBy, createdAt: nowMs });
  return { id, token };
}
