/**
 * The protocol this side speaks, and the oldest one it still understands: N and N-1. A message that is added needs no new
 * version (unknown fields are ignored, unknown messages skipped, [P-15]); one that changes its meaning does.
 *
 *   1   the first
 *   2   `auth` says a range, and `welcome` answers with the version that both speak
 */
export const PROTOCOL_VERSION = 2;
export const OLDEST_PROTOCOL_VERSION = 1;

/**
 * The newest version that both sides speak; undefined when there is none.
 * @param oldest the oldest one that the peer understands; a peer of version 1 says only one
 */
export function commonVersion(newest: number, oldest: number = newest): number | undefined {
  if (!Number.isInteger(newest)) return undefined;
  const common = Math.min(newest, PROTOCOL_VERSION);
  return common >= Math.max(oldest, OLDEST_PROTOCOL_VERSION) ? common : undefined;
}

/** True when a peer that has settled on `version` can be talked to. */
export function speaks(version: number): boolean {
  return commonVersion(version) === version;
}
