/** A frame of text into a checked message: bounds first, then JSON, then depth, then the schema. */
import type { z } from "zod";
import { ProtocolViolation } from "./close-codes.ts";
import { LIMITS } from "./limits.ts";

/**
 * Parses one received frame.
 * @throws ProtocolViolation `frame_too_large` (ends the socket) or `protocol_violation`
 */
export function parseFrame<T>(
  raw: string | ArrayBuffer,
  schema: z.ZodType<T>,
  maxBytes: number = LIMITS.frameBytes,
): T {
  if (typeof raw !== "string")
    throw new ProtocolViolation("protocol_violation", "binary frames are not part of the protocol");
  // A UTF-16 length is never more than the UTF-8 length, so the cheap test refuses nothing that fits.
  if (raw.length > maxBytes || (raw.length * 3 > maxBytes && utf8Bytes(raw) > maxBytes)) {
    throw new ProtocolViolation("frame_too_large", `a frame may have at most ${maxBytes} bytes`);
  }
  let json: unknown;
  try {
    json = JSON.parse(raw);
  } catch {
    throw new ProtocolViolation("protocol_violation", "the frame is not JSON");
  }
  if (deeperThan(json, LIMITS.jsonDepth))
    throw new ProtocolViolation("protocol_violation", "the frame is nested too deeply");
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ProtocolViolation(
    "protocol_violation",
    `${issue?.path.join(".") || "frame"}: ${issue?.message ?? "not understood"}`,
  );
}

export function utf8Bytes(text: string): number {
  return new TextEncoder().encode(text).byteLength;
}

/** True when `value` nests deeper than `levels`; iterative, so that it cannot itself run out of stack. */
export function deeperThan(value: unknown, levels: number): boolean {
  let layer: unknown[] = [value];
  for (let depth = 0; layer.length > 0; depth++) {
    if (depth > levels) return true;
    const next: unknown[] = [];
    for (const item of layer) {
      if (typeof item === "object" && item !== null) {
        for (const child of Object.values(item)) if (typeof child === "object" && child !== null) next.push(child);
      }
    }
    layer = next;
  }
  return false;
}
