/**
 * Where things lie in the store. Tenancy and session are in the key, so that no request can name another's object: the
 * organisation comes from who asks, never from what is asked.
 */
export type Shelf = { organizationId: string; sessionId: string };

export function packKey(shelf: Shelf, hash: string): string {
  return `${prefix(shelf)}/packs/${hash}`;
}

export function snapshotKey(shelf: Shelf, snapshotId: string): string {
  return `${prefix(shelf)}/snapshots/${snapshotId}`;
}

/** Everything of a session; what follows is "packs/…" or "snapshots/…". */
export function shelfPrefix(shelf: Shelf): string {
  return `${prefix(shelf)}/`;
}

function prefix({ organizationId, sessionId }: Shelf): string {
  for (const part of [organizationId, sessionId]) {
    if (!/^[A-Za-z0-9_-]{1,100}$/.test(part)) throw new Error(`not an id: ${part}`);
  }
  return `orgs/${organizationId}/sessions/${sessionId}`;
}
