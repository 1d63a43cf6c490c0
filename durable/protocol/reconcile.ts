/**
 * Reconcilers: what they may find, and how a sweep reports. A finding is something that was not as it should be;
 * `mended` says whether it was put right. Whatever is not proven to be wrong is left alone and not mentioned.
 */
import { z } from "zod";

/**
 * runs: a run that nothing moves any more. leases: a lease its session does not know. queue: an entry whose session does not
 * wait. index: D1 behind the objects. deadlines: an alarm or a deadline that is lost or overdue. syncs: unsaved work
 * that nobody is saving. workers: what a host still keeps of workers that are long gone. containers: those without a lease.
 * store: snapshots whose time has come, and stored objects that nothing needs.
 */
export const RECONCILERS = [
  "runs",
  "leases",
  "queue",
  "index",
  "deadlines",
  "syncs",
  "workers",
  "containers",
  "store",
] as const;
export type Reconciler = (typeof RECONCILERS)[number];

const id = z.string().max(100);
const text = z.string().max(1_000);

export const findingSchema = z
  .object({
    reconciler: z.enum(RECONCILERS),
    /** What was wrong, as a word: `lease_unknown_to_session`. */
    what: z.string().max(60),
    mended: z.boolean(),
    sessionId: id.optional(),
    runId: id.optional(),
    hostId: id.optional(),
    pool: id.optional(),
    detail: text.optional(),
  })
  .meta({ id: "ReconcileFinding" });
export type Finding = z.infer<typeof findingSchema>;

/** How one reconciler fared: how many things it looked at, what it found, and why it broke off if it did. */
export const reconcilerReport = z
  .object({
    reconciler: z.enum(RECONCILERS),
    looked: z.number().int().nonnegative(),
    findings: z.array(findingSchema),
    failures: z.array(text),
  })
  .meta({ id: "ReconcilerReport" });
export type ReconcilerReport = z.infer<typeof reconcilerReport>;

/** What D1 has of one session, for the session to compare with what it knows. */
export type IndexedSession = {
  session: { title: string; activity: string; workerState: string; needsAttention: boolean; deleted: boolean };
  runs: { id: string; state: string }[];
  /** Requests that wait for a person, as far as D1 knows. */
  pending: { id: string; runId: string }[];
};

/** `indexed: null` says that D1 has no row; left out, the index is not looked at. */
export type SessionReconcile = {
  which: readonly Reconciler[];
  indexed?: IndexedSession | null;
  /** When `indexed` was about to be read: what the session has written since, it cannot contain. */
  indexedAt?: number;
};
/** Where the session stands, for those who have to agree with it. */
export type SessionStanding = {
  exists: boolean;
  epoch: number;
  /** The host that holds the lease, as the session sees it. */
  leaseHostId?: string;
  /** The run that waits for a lease. */
  waitingRunId?: string;
};
export type SessionReconciled = { standing: SessionStanding; reports: ReconcilerReport[] };

export type PoolReconcile = { which: readonly Reconciler[]; after?: string; limit: number };
/** `next`: there is more after this session id. */
export type PoolReconciled = { reports: ReconcilerReport[]; next?: string };
/** What a host said of its own sweep, and when the pool heard it. */
export const hostSweep = z.object({ hostId: id, at: z.number(), reports: z.array(reconcilerReport).max(20) });
export type HostSweep = z.infer<typeof hostSweep>;

/** What the pool knows of a session, without changing anything. */
export type PoolStanding = { queuedRunId?: string; lease?: { hostId: string; epoch: number } };

export const emptyReport = (reconciler: Reconciler): ReconcilerReport => ({
  reconciler,
  looked: 0,
  findings: [],
  failures: [],
});

/** One report per reconciler, in the order of the list. */
export function mergeReports(reports: readonly ReconcilerReport[]): ReconcilerReport[] {
  return RECONCILERS.flatMap((reconciler) => {
    const own = reports.filter((report) => report.reconciler === reconciler);
    if (own.length === 0) return [];
    return [
      {
        reconciler,
        looked: own.reduce((sum, { looked }) => sum + looked, 0),
        findings: own.flatMap(({ findings }) => findings),
        failures: own.flatMap(({ failures }) => failures),
      },
    ];
  });
}

/**
 * Runs the steps one after the other. Each stands alone: one that throws is reported, and the others run all the same.
 * @param steps by reconciler; those that are not in `which` are not run
 */
export async function eachAlone(
  which: readonly Reconciler[],
  steps: Partial<Record<Reconciler, (report: ReconcilerReport) => Promise<void> | void>>,
): Promise<ReconcilerReport[]> {
  const reports: ReconcilerReport[] = [];
  for (const reconciler of RECONCILERS) {
    const step = steps[reconciler];
    if (!step || !which.includes(reconciler)) continue;
    const report = emptyReport(reconciler);
    reports.push(report);
    try {
      await step(report);
    } catch (error) {
      report.failures.push(String(error).slice(0, 1_000));
    }
  }
  return reports;
}
