/**
 * The way from an id to its Durable Object. Tenancy is in the name, and the organisation always comes from the
 * authenticated principal (or from a row that was looked up), never from what a caller wrote.
 *
 * The stubs are typed by the RPC contracts and not by the classes: `DurableObjectStub<SessionObject>` rewrites every
 * nested type and makes the compiler give up ("excessively deep").
 */
import { objectName } from "#protocol/ids.ts";
import type { FleetRpc, SessionRpc } from "#protocol/objects.ts";
import type { Env } from "./env.ts";

type Fetching = { fetch(request: Request): Promise<Response> };
export type SessionStub = SessionRpc & Fetching;
export type FleetStub = FleetRpc & Fetching;

/** The pool that a session's runs go to unless it says otherwise. */
export const DEFAULT_POOL = "default";

/** @param sessionId a checked session id: whatever name is given here becomes an object */
export function sessionObject(env: Env, organizationId: string, sessionId: string): SessionStub {
  return env.SESSION.getByName(objectName(organizationId, sessionId)) as unknown as SessionStub;
}

export function fleetObject(env: Env, organizationId: string, pool: string): FleetStub {
  return env.FLEET.getByName(objectName(organizationId, pool)) as unknown as FleetStub;
}
