/** The ways in which engines and Node say that a process ended, as one. */
import { constants } from "node:os";
import { EXIT_UNSEEN, type WorkerExit } from "./port.ts";

const signalOffset = 128;
const killed = signalOffset + constants.signals.SIGKILL;

/**
 * An exit as an engine reports it. Docker sets its out-of-memory flag also when only a child was killed for it and the
 * worker ended well later, so the flag counts only for a worker that was itself killed.
 */
export function exitFromCode(exitCode: number, engineSaysOutOfMemory: boolean): WorkerExit {
  const signal = signalName(exitCode - signalOffset);
  const outOfMemory = engineSaysOutOfMemory && exitCode === killed;
  return signal ? { exitCode, outOfMemory, signal } : { exitCode, outOfMemory };
}

/** An exit as Node reports a child's: a code, or the signal that ended it. */
export function exitFromNode(code: number | null, signal: NodeJS.Signals | null): WorkerExit {
  if (signal) return { exitCode: signalOffset + constants.signals[signal], outOfMemory: false, signal };
  return { exitCode: code ?? EXIT_UNSEEN, outOfMemory: false };
}

function signalName(number: number): string | undefined {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
}
