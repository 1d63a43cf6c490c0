/**
 * Why a socket was closed, and whether the client should come back (PROTOCOL.md [P-19]). A clean close of a
 * transport says nothing about the life of a run.
 */
export const CLOSE_CODES = {
  /** The peer went away in an orderly manner. */
  normal: { code: 1000, retry: true },
  going_away: { code: 1001, retry: true },
  /** A frame that is not what the protocol allows at this point. */
  protocol_violation: { code: 4400, retry: true },
  auth_rejected: { code: 4401, retry: true },
  /** Known, but not allowed here: revoked, disabled, foreign session. */
  forbidden: { code: 4403, retry: false },
  /** Host or session was deleted. Only a person can help: `gantry host join`. */
  gone: { code: 4410, retry: false },
  auth_timeout: { code: 4408, retry: true },
  /** A newer connection of the same peer took over. */
  replaced: { code: 4409, retry: false },
  frame_too_large: { code: 4413, retry: true },
  /** The epoch is not the current one; the reason text carries the current epoch. The lease is gone for good. */
  stale_epoch: { code: 4412, retry: false },
  /** Upgrade needed: the peer's protocol version is not spoken here. */
  version: { code: 4426, retry: false },
  /** A viewer that does not keep up: come back with the cursor you have. */
  slow_reader: { code: 4429, retry: true },
  /** Messages are missing between what was sent and what arrived: reconnect and resume. */
  gap: { code: 4430, retry: true },
  internal: { code: 4500, retry: true },
} as const;

export type CloseName = keyof typeof CLOSE_CODES;

/** The table row for a received close code; unknown codes (1006, a proxy's own) are worth another try. */
export function closeByCode(code: number): { name: CloseName | "unknown"; retry: boolean } {
  for (const [name, row] of Object.entries(CLOSE_CODES)) {
    if (row.code === code) return { name: name as CloseName, retry: row.retry };
  }
  return { name: "unknown", retry: true };
}

/** The peer broke the protocol: close the socket with this row of the table. Never an error of ours. */
export class ProtocolViolation extends Error {
  readonly close: CloseName;

  constructor(close: CloseName, message: string) {
    super(message);
    this.name = "ProtocolViolation";
    this.close = close;
  }
}
