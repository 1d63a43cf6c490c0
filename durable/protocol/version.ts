/** The protocol this side speaks, and the oldest one it still understands (N and N-1 once there is an N-1). */
export const PROTOCOL_VERSION = 1;
export const OLDEST_PROTOCOL_VERSION = 1;

/** True when a peer that announces `version` can be talked to. */
export function speaks(version: number): boolean {
  return Number.isInteger(version) && version >= OLDEST_PROTOCOL_VERSION && version <= PROTOCOL_VERSION;
}
