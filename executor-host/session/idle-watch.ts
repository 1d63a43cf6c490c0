/** Stops workers without work after the pool's `idleStopMs`, saved as always. Without that setting the session alone decides. */
import type { Clock } from "../clock.ts";
import type { Sessions } from "./sessions.ts";

/** How often it looks: a change of the setting takes effect within this time, for workers that are idle already, too. */
const LOOK_EVERY_MS = 5_000;

/** @returns ends the watch */
export function watchIdle(needs: {
  clock: Clock;
  sessions: Pick<Sessions, "describe" | "requestStop">;
  idleStopMs: () => number | undefined;
}): () => void {
  const { clock, sessions, idleStopMs } = needs;
  const idleSince = new Map<string, number>();
  function look(): void {
    cancel = clock.after(LOOK_EVERY_MS, look);
    const idle = sessions.describe().filter(({ worker, runs }) => worker && runs.length === 0);
    for (const sessionId of idleSince.keys()) {
      if (!idle.some((session) => session.sessionId === sessionId)) idleSince.delete(sessionId);
    }
    for (const { sessionId } of idle) {
      const since = idleSince.get(sessionId) ?? clock.now();
      idleSince.set(sessionId, since);
      const limitMs = idleStopMs();
      if (limitMs !== undefined && clock.now() - since >= limitMs) sessions.requestStop(sessionId, "idle");
    }
  }
  let cancel = clock.after(LOOK_EVERY_MS, look);
  return () => cancel();
}
