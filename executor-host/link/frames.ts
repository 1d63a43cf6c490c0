/** What arrives on a host's link, told apart. The server may be newer than this host, so that is expected, too. */
import { z } from "zod";
import { ProtocolViolation } from "#protocol/close-codes.ts";
import { parseFrame } from "#protocol/frame.ts";
import { ackSchema, errorSchema, resumedSchema, welcomeSchema } from "#protocol/messages.ts";

/** The message itself is checked later: one that is not understood is skipped by its number, the next one is innocent. */
const envelope = z.union([
  z.object({ n: z.number().int().positive(), ack: z.number().int().nonnegative(), message: z.unknown() }),
  welcomeSchema,
  resumedSchema,
  errorSchema,
  ackSchema,
]);

export type Arrived =
  | { kind: "numbered"; n: number; ack: number; message: unknown }
  | { kind: "ack"; ack: number }
  | { kind: "welcome"; protocol: number; now: number }
  | { kind: "resumed"; received: number }
  | { kind: "error"; reason: string; message: string };

/** @throws ProtocolViolation when it is no frame of the protocol */
export function arrivedFrame(data: Buffer, isBinary: boolean): Arrived {
  if (isBinary) throw new ProtocolViolation("protocol_violation", "binary frames are not part of the protocol");
  const frame = parseFrame(data.toString("utf8"), envelope);
  if ("n" in frame) return { kind: "numbered", n: frame.n, ack: frame.ack, message: frame.message };
  if ("ack" in frame) return { kind: "ack", ack: frame.ack };
  switch (frame.type) {
    case "welcome":
      return { kind: "welcome", protocol: frame.protocol, now: frame.now };
    case "resumed":
      return { kind: "resumed", received: frame.received };
    case "error":
      return { kind: "error", reason: frame.reason, message: frame.message };
    default:
      return frame satisfies never;
  }
}
