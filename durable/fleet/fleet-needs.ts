/** What the fleet's decisions are carried out with. */
import type { ToHostControl } from "#protocol/messages.ts";
import type { Deadlines } from "../shell/deadlines.ts";
import type { Outbox } from "../shell/outbox.ts";
import type { FleetStore } from "./fleet-store.ts";

export type FleetNeeds = {
  store: FleetStore;
  deadlines: Deadlines;
  outbox: Outbox;
  now(): number;
  sendToHost(hostId: string, message: ToHostControl): void;
  /** True while the host has a live, authenticated socket. */
  isConnected(hostId: string): boolean;
  /** The last ping of a connected host that the platform answered. */
  lastPingAt(hostId: string): number | undefined;
  /** Closes the sockets of a host that has fallen silent: one that is there after all dials again. */
  hangUp(hostId: string, reason: string): void;
  /** Mints the token that a host asked for; answered later through sendToHost. */
  renewToken(hostId: string): void;
  linkUrls(sessionId: string): { dataUrl: string; storeUrl: string };
};
