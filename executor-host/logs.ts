/**
 * Logs: one JSON object a line on stderr, so that stdout stays the command's own. Every line says which component;
 * traceId, sessionId, runId and hostId where they are known. What is secret is cut here and never at the call site.
 */
import { type DestinationStream, destination, type Logger, pino } from "pino";

export type { Logger };

const SECRET_NAMES = [
  "token",
  "key",
  "authorization",
  "assertion",
  "joinToken",
  "secret",
  "password",
  "apiKey",
  "privateKey",
  "d",
] as const;

/** Secrets at the top of a log line and up to two levels inside; `*` stands for one name. */
const paths = SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "silent";
export type LogOptions = { level?: LogLevel; stream?: DestinationStream };
export type Logs = { logger: Logger /** Reaches every child at once. */; setLevel(level: LogLevel): void };

/** @returns the root logger (`logger.child({ component: "…" })` for each part) and its switch */
export function createLogs({ level = "info", stream }: LogOptions = {}): Logs {
  let least = levelNumber(level);
  const logger = pino(
    {
      // A child keeps the level it was born with, so the switch is a filter that all share.
      level: "trace",
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths, censor: "[redacted]" },
      hooks: {
        logMethod(args, method, lineLevel) {
          if (lineLevel >= least) method.apply(this, args);
        },
      },
    },
    stream ?? destination({ dest: 2, sync: true }),
  );
  return {
    logger,
    setLevel: (next) => {
      least = levelNumber(next);
    },
  };
}

function levelNumber(level: LogLevel): number {
  return level === "silent" ? Number.POSITIVE_INFINITY : (pino.levels.values[level] ?? 30);
}

/** A logger that says nothing. */
export const silentLogger: Logger = pino({ level: "silent" });
