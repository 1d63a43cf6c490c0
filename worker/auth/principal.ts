/**
 * Who is asking. Three kinds, told apart by what they bring:
 *
 *   person    cookie `gantry_session`
 *   service   `Authorization: Bearer gst_…`
 *   host      `Authorization: Bearer <host token>` (a JWT of ours)
 *
 * A header counts before a cookie, and a wrong header is a refusal, not a reason to look at the cookie.
 */
import type { Actor } from "#protocol/events.ts";
import type { Role } from "../../migrations/schema.ts";
import { hostMay, type Permission, roleMay } from "./permissions.ts";

export type Person = {
  kind: "person";
  id: string;
  name: string;
  organizationId: string;
  role: Role;
  /** Hash of the cookie, to end this very session. */
  browserSession: string;
};
export type Service = { kind: "service"; id: string; name: string; organizationId: string; role: Role };
export type HostPrincipal = { kind: "host"; id: string; name: string; organizationId: string; pool: string };
export type Principal = Person | Service | HostPrincipal;

export function actorOf({ id, name }: Principal): Actor {
  return { id, name };
}

export function may(principal: Principal, permission: Permission): boolean {
  return principal.kind === "host" ? hostMay(permission) : roleMay(principal.role, permission);
}
