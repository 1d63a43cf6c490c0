/** What the objects are given by the platform. The worker's own environment has more (worker/env.ts). */
import type { FleetRpc, SessionRpc } from "#protocol/objects.ts";

/** The way to an object of a class, known by its contract: the class itself would tie the shells to each other. */
type ObjectsOf<Rpc> = { getByName(name: string): Rpc };

export type ObjectsEnv = {
  SESSION: ObjectsOf<SessionRpc>;
  FLEET: ObjectsOf<FleetRpc>;
  DB: D1Database;
  STORE: R2Bucket;
  /** Signs the hosts' tokens. */
  SIGNING_KEY: string;
};
