/** Reading a run's events in tests. */
import type { RunEvent } from "#protocol/events.ts";
import { applyToTranscript, emptyTranscript, type Message, type ToolPart } from "#protocol/transcript.ts";

export function ofType<T extends RunEvent["type"]>(
  events: readonly RunEvent[],
  type: T,
): Extract<RunEvent, { type: T }>[] {
  return events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);
}

/** The assistant's message as a reader sees it: the protocol's own fold over the events. */
export function messageOf(events: readonly RunEvent[]): Message | undefined {
  const envelope = { v: 1, at: 0, sessionId: "ses_x", runId: "run_x", traceId: "t" } as const;
  return events
    .reduce(
      (transcript, event, index) => applyToTranscript(transcript, { ...envelope, ...event, seq: index + 1 } as never),
      emptyTranscript,
    )
    .messages.at(-1);
}

export function toolsOf(events: readonly RunEvent[]): ToolPart[] {
  return messageOf(events)?.parts.filter((part): part is ToolPart => part.type === "dynamic-tool") ?? [];
}

/** What the end of every run must look like. Answers the last event's data. */
export function finishedOf(events: readonly RunEvent[]) {
  const finished = ofType(events, "run.finished");
  if (finished.length !== 1) throw new Error(`${finished.length} run.finished`);
  if (events.at(-1)?.type !== "run.finished") throw new Error("something comes after run.finished");
  return finished[0]!.data;
}

/** The name of the conversation, where the provider said one. */
export function conversationOf(events: readonly RunEvent[]): string | undefined {
  return ofType(events, "run.status").find(({ data }) => data.conversationId)?.data.conversationId;
}
