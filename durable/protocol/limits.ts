/**
 * Every bound of the wire in one place, with its unit in its name. Sources: the platform's documented limits
 * (a Durable Object row is at most 2 MB, a received WebSocket message at most 32 MiB) with room to spare, because
 * a local workerd enforces neither.
 */
const KiB = 1024;
const MiB = 1024 * KiB;

export const LIMITS = {
  /** A frame from a host or a browser. Larger ones end the socket with `frame_too_large`. */
  frameBytes: 1 * MiB,
  /** A frame from a browser: people type prompts, they do not upload here. */
  viewerFrameBytes: 320 * KiB,
  /** One row of the event log (a batch of events as JSON); the platform allows 2 MB. */
  logRowBytes: 1 * MiB,
  /** What a host says is added to the newest row until it has this size: few rows to read, and little to write again. */
  logOpenRowBytes: 8 * KiB,
  /** A run that goes on and has said so much is folded as far as it has finished saying it. */
  unfoldedBytes: 2 * MiB,
  /** Of what is folded, so much stays in the object; what is older goes to the store, kept with the session. */
  logInObjectBytes: 2 * MiB,
  /** A piece of it there. A reader in its middle gets it read whole. */
  logSegmentBytes: 1 * MiB,
  /** Nesting of JSON that is accepted from a peer. */
  jsonDepth: 64,
  promptBytes: 256 * KiB,
  titleChars: 200,
  /** Events in one frame of a host. */
  eventsPerFrame: 500,
  /** A tool's output inside one event; longer output is cut with a note by the runner. */
  toolOutputBytes: 64 * KiB,
  /** Unacknowledged bytes that a sender keeps in flight before it waits. */
  unacknowledgedBytes: 4 * MiB,
  /** Follow-ups that may wait in one session. */
  queuedRunsPerSession: 50,
  /** A run's priority lies between minus this and this. */
  runPriority: 10,
  /** Labels that a run may ask for. */
  runLabels: 16,
  /** Dead letters that a pool keeps; the oldest go. */
  deadLetters: 500,
  /** Finished runs kept in the session's view; older ones are in the D1 index. */
  finishedRunsInView: 200,
  /** A reader further behind than this gets a snapshot instead of the tail. */
  tailEvents: 20_000,
  httpBodyBytes: 512 * KiB,
  /** A chat client sends its whole history with every message, tool output and all. */
  chatBodyBytes: 8 * MiB,
  /** Of a body that is refused for its size, still taken in and forgotten: most clients read an answer only when they have sent all. */
  refusedBodyBytes: 16 * MiB,
  /** A workspace pack uploaded through the worker (R2 and Workers take 100 MB in one request). */
  packBytes: 48 * MiB,
  manifestBytes: 64 * MiB,
  /** Packs of one session in the store, and of all sessions of an organisation, unless it has limits of its own. */
  sessionStoreBytes: 20 * 1024 * MiB,
  organizationStoreBytes: 500 * 1024 * MiB,
  /** A file that the preview route will show as text. */
  previewBytes: 1 * MiB,
} as const;

export const TIMES = {
  /** A socket that has not sent a valid `auth` by then is closed. */
  authDeadlineMs: 10_000,
  /** The host's ping; answered by the platform without waking the object. */
  pingIntervalMs: 5_000,
  /**
   * The host treats a link as dead after this silence: two pings without an answer, and soon enough to be back before the
   * pool gives up the lease.
   */
  linkSilenceMs: 10_000,
  /** A host that has not pinged for this long loses its leases. */
  leaseMs: 15_000,
  /**
   * A host whose socket closed and that is not back by then gives up runs that have not started: enough for a
   * reconnection (its back-off begins at 250 ms), too little for a daemon that was killed.
   */
  awayMs: 1_500,
  /** A host that was offered an assignment and says nothing loses the offer. */
  acceptDeadlineMs: 10_000,
  /** Token life; renewed over the link at half of it. */
  tokenMs: 10 * 60_000,
  ticketMs: 60_000,
  joinTokenMs: 15 * 60_000,
  /** interrupt 5 s, SIGTERM 5 s, kill, and the way there and back. */
  cancelDeadlineMs: 20_000,
  /** From `assigned` to `running`: container start, restore. */
  prepareDeadlineMs: 5 * 60_000,
  runTimeoutMs: 2 * 60 * 60_000,
  /** A run that found no host in this time has failed. */
  queueDeadlineMs: 24 * 60 * 60_000,
  idleStopMs: 15 * 60_000,
  /** A run that has waited this long for a person lets go of its worker, and goes on with the answer in a new one. */
  parkAfterMs: 30 * 60_000,
  /** The same while other runs wait for nothing but a free slot. */
  parkForOthersAfterMs: 60_000,
  /** A worker that was told to stop has to be saved and gone by then, or the lease decides. */
  stopDeadlineMs: 10 * 60_000,
} as const;

/** Attempts for a run whose host, or whose worker, was lost before the run started. */
export const MAX_ATTEMPTS = 3;

/** How long an attempt waits after the one before it failed, in milliseconds: 1 s before the second, 4 s before the third. */
export function retryDelayMs(attempt: number): number {
  return Math.min(60_000, 1_000 * 4 ** Math.max(0, attempt - 2));
}
