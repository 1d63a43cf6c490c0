/** The names under which a pool keeps its deadlines and its news for sessions. */
export const deadlineName = {
  /** Runs wait only for a free slot: time to ask idle workers to make room. */
  contention: "contention",
  /** The time of a next attempt has come. */
  retry: "retry",
  offer: (sessionId: string) => `offer:${sessionId}`,
  /** A refusal is not for ever: the host is asked again, with back-off. */
  reconsider: (hostId: string) => `reconsider:${hostId}`,
  host: (hostId: string) => `host:${hostId}`,
  /** Its socket closed, and it is not back. */
  away: (hostId: string) => `away:${hostId}`,
};
/** What the sessions have to learn, in the outbox under these keys; the body has the rest. */
export const yieldKey = "yield";
export const sessionKey = {
  granted: (sessionId: string) => `granted/${sessionId}`,
  lost: (sessionId: string, epoch: number) => `lost/${sessionId}/${epoch}`,
  away: (sessionId: string, epoch: number) => `away/${sessionId}/${epoch}`,
  waiting: (sessionId: string) => `waiting/${sessionId}`,
  removed: (sessionId: string) => `removed/${sessionId}`,
};
