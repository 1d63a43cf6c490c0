/** One JSON line per thing worth knowing. Whoever calls it gives ids, never content, never a secret. */
export type LogFields = {
  traceId?: string;
  sessionId?: string;
  runId?: string;
  hostId?: string;
  [field: string]: string | number | boolean | undefined;
};

export function log(
  level: "info" | "warn" | "error",
  component: string,
  message: string,
  fields: LogFields = {},
): void {
  console.log(JSON.stringify({ level, time: new Date().toISOString(), component, message, ...fields }));
}

export function errorText(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
