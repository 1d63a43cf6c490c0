/** A frame from a person's page becomes a command; the answer goes back to the page that asked. */
import type { Actor } from "#protocol/events.ts";
import { parseFrame } from "#protocol/frame.ts";
import { LIMITS } from "#protocol/limits.ts";
import type { CommandContext, Result } from "#protocol/objects.ts";
import { type Answer, type FromViewer, fromViewer } from "#protocol/viewer.ts";

export type ViewerNeeds = {
  carryOut(message: Exclude<FromViewer, { type: "ack" }>, context: CommandContext): Result<{ runId?: string }>;
  acknowledged(cursor: number): void;
  answer(answer: Answer): void;
  newTraceId(): string;
};

/** @throws ProtocolViolation for a frame that is not a command */
export function onViewerFrame(raw: string | ArrayBuffer, actor: Actor, needs: ViewerNeeds): void {
  const message = parseFrame(raw, fromViewer, LIMITS.viewerFrameBytes);
  if (message.type === "ack") return needs.acknowledged(message.cursor);
  const result = needs.carryOut(message, { commandId: message.id, actor, traceId: needs.newTraceId() });
  needs.answer(
    result.ok
      ? { type: "answer", id: message.id, ok: true, runId: result.runId }
      : {
          type: "answer",
          id: message.id,
          ok: false,
          reason: result.reason,
          message: result.message,
          details: result.details,
        },
  );
}
