/**
 * The provider's package makes a client manager when it is imported, and each manager ends the whole process at once on a
 * signal or an uncaught error. The runner leaves on its own terms: runs cancelled, ends spooled, streams read.
 */
const EVENTS = ["exit", "SIGINT", "SIGTERM", "uncaughtException"] as const;

/** What the import left behind. Call before the runner listens for signals itself. */
export function forgetImportedExits(): void {
  for (const event of EVENTS) process.removeAllListeners(event);
}

/** Runs `make`, and takes back whatever it has hung on the process. */
export function keepingOwnExit<T>(make: () => T): T {
  const before = EVENTS.map((event) => new Set(process.listeners(event as "exit")));
  const made = make();
  EVENTS.forEach((event, index) => {
    for (const listener of process.listeners(event as "exit")) {
      if (!before[index]?.has(listener)) process.removeListener(event, listener);
    }
  });
  return made;
}
