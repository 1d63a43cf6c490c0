/** What a daemon says of itself to the commands on its machine (local-api.ts). */
import type { HostFacts } from "#protocol/messages.ts";
import type { HostIdentity } from "./config.ts";
import type { Obstacle } from "./disk-room.ts";
import type { LinkState } from "./link/link.ts";
import type { Sessions } from "./session/sessions.ts";

export type HostStatus = {
  hostId: string;
  name: string;
  controlUrl: string;
  control: LinkState;
  draining: boolean;
  facts: HostFacts | undefined;
  sessions: ReturnType<Sessions["describe"]>;
  outbox: { messages: number; bytes: number };
  /** Absent while there is room. */
  diskFull?: string;
};

export const diskFull = (obstacle: Obstacle | undefined): Pick<HostStatus, "diskFull"> =>
  obstacle ? { diskFull: `${obstacle.reason} ${obstacle.fix}` } : {};

/** Of a daemon that has not begun; with an obstacle it cannot yet. */
export function notBegun({ hostId, name, controlUrl }: HostIdentity, obstacle: Obstacle | undefined): HostStatus {
  const nothing = { facts: undefined, sessions: [], outbox: { messages: 0, bytes: 0 } };
  return { hostId, name, controlUrl, control: "closed", draining: false, ...nothing, ...diskFull(obstacle) };
}
