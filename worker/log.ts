/**
 * Structured logs: one JSON object a line, with the ids by which a request is followed from browser to container.
 * A log line never holds a secret: fields with a telling name are blanked, and so is whatever looks like one.
 */
export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Record<string, unknown>;
export type Logger = {
  [level in LogLevel]: (event: string, fields?: LogFields) => void;
} & {
  /** The same logger with more fields on every line. */
  with(fields: LogFields): Logger;
};

const REDACTED = "[redacted]";
const SECRET_NAME =
  /token|secret|password|authorization|cookie|assertion|ticket|api.?key|signing.?key|encryption.?key/i;
/** Own tokens (gst_, gjt_, …), JWTs, bearer headers, provider keys, and secrets in a query string. */
const SECRET_VALUES = [
  /\bg(?:st|jt|sl|bs)_[A-Za-z0-9_-]{16,}/g,
  /\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g,
  /\bBearer\s+[A-Za-z0-9._~+/=-]+/gi,
  /\bsk-[A-Za-z0-9_-]{16,}/g,
  /(?<=[?&](?:ticket|token|key|code|state)=)[^&\s"]+/gi,
];
const MAX_DEPTH = 6;

/** Blanks secrets in text. */
export function redactText(text: string): string {
  return SECRET_VALUES.reduce((clean, pattern) => clean.replace(pattern, REDACTED), text);
}

/** Blanks secrets in any value that is going to be written as JSON. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return redactText(value);
  if (value instanceof Error) return { name: value.name, message: redactText(value.message) };
  if (typeof value !== "object" || value === null) return value;
  if (depth >= MAX_DEPTH) return "[deep]";
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [name, SECRET_NAME.test(name) ? REDACTED : redact(field, depth + 1)]),
  );
}

/** @param write takes the finished line; the platform's console by default, which indexes JSON */
export function createLogger(fields: LogFields, write: (level: LogLevel, line: string) => void = toConsole): Logger {
  const at = (level: LogLevel) => (event: string, more?: LogFields) => {
    const entry = { level, event, ...fields, ...more };
    write(level, JSON.stringify(redact(entry)));
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: (more) => createLogger({ ...fields, ...more }, write),
  };
}

function toConsole(level: LogLevel, line: string): void {
  console[level](line);
}
