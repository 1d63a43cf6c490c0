/** What may be asked for, as a closed list, and which role may ask. A new permission belongs to nobody until it is given. */
import type { Role } from "../../migrations/schema.ts";

export const PERMISSIONS = [
  "account.read",
  "sessions.read",
  "sessions.write",
  "runs.operate",
  "human_loop.reply",
  "files.read",
  "hosts.read",
  "hosts.admin",
  "tokens.admin",
  "credentials.admin",
  "apps.read",
  "apps.admin",
  "organization.read",
  "organization.admin",
  "audit.read",
  /** A host that speaks for itself: packs, snapshots and credentials of the sessions it holds a lease for. */
  "host.link",
] as const;
export type Permission = (typeof PERMISSIONS)[number];

const MEMBER = [
  "account.read",
  "sessions.read",
  "sessions.write",
  "human_loop.reply",
  "files.read",
  "hosts.read",
  "apps.read",
  "organization.read",
] as const satisfies readonly Permission[];
const ADMIN = [
  ...MEMBER,
  "runs.operate",
  "hosts.admin",
  "tokens.admin",
  "credentials.admin",
  "apps.admin",
  "organization.admin",
  "audit.read",
] as const satisfies readonly Permission[];

const OF_ROLE: Record<Role, ReadonlySet<Permission>> = {
  member: new Set<Permission>(MEMBER),
  admin: new Set<Permission>(ADMIN),
  owner: new Set<Permission>(ADMIN),
};
const OF_HOST: ReadonlySet<Permission> = new Set<Permission>(["host.link"]);

export function permissionsOf(role: Role): readonly Permission[] {
  return [...OF_ROLE[role]];
}

export function roleMay(role: Role, permission: Permission): boolean {
  return OF_ROLE[role].has(permission);
}

export function hostMay(permission: Permission): boolean {
  return OF_HOST.has(permission);
}
