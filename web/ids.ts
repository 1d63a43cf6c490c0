/**
 * An id for a command, chosen here so that sending it twice does it once. Not #protocol/ids.ts: that one brings zod
 * along, and `crypto.randomUUID` is missing on pages served over plain http from another machine.
 */
export function newCommandId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(15));
  return `cmd_${Array.from(bytes, (byte) => (byte % 36).toString(36).padStart(1, "0")).join("")}${Date.now().toString(36)}`;
}
