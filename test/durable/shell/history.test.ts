/** The fold of a log while its runs go on, against readers that stand anywhere. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { SessionEvent } from "#protocol/events.ts";
import { LIMITS } from "#protocol/limits.ts";
import { applyToTranscript, emptyTranscript, type Transcript } from "#protocol/transcript.ts";
import { EventLog } from "../../../durable/session/event-log.ts";
import { History } from "../../../durable/session/history.ts";
import { Disk } from "../../fuzz/disk.ts";

type Said = Pick<SessionEvent, "type" | "data" | "runId">;

const finished = (runId: string): Said => ({ type: "run.finished", runId, data: { outcome: "succeeded" } });
const delta = (runId: string, ...chunks: object[]): Said =>
  ({ type: "message.delta", runId, data: { messageId: `m-${runId}`, chunks } }) as Said;
const prompt = (runId: string): Said =>
  ({ type: "session.prompted", runId, data: { text: "work", messageId: `p-${runId}` } }) as unknown as Said;

/** A history with these events in its log, and what it has to come to. */
function logOf(said: readonly Said[]) {
  const storage = new Disk(() => {}).storage({ alive: true });
  const log = new EventLog(storage);
  const history = new History(storage, log);
  const events = said.map(
    (each, index) => ({ v: 1, seq: index + 1, at: index, sessionId: "ses_1", traceId: "t", ...each }) as SessionEvent,
  );
  const ends = new Map(events.flatMap(({ type, runId = "", seq }) => (type === "run.finished" ? [[runId, seq]] : [])));
  return { log, history, events, isOver: (runId: string, seq: number) => (ends.get(runId) ?? Infinity) <= seq };
}
const transcriptOf = (events: readonly SessionEvent[], from: Transcript = emptyTranscript) =>
  events.reduce(applyToTranscript, from);

const id = fc.constantFrom("1", "2");
const chunk = fc.oneof(
  fc.record({ type: fc.constantFrom("text-start", "text-end", "text-end"), id }),
  fc.record({ type: fc.constant("text-delta"), id, delta: fc.string({ maxLength: 3 }) }),
  fc.record({ type: fc.constant("tool-input-available"), toolCallId: id, toolName: fc.constant("bash"), input: id }),
  fc.record({ type: fc.constant("tool-output-available"), toolCallId: id, output: id }),
  fc.record({ type: fc.constant("data-x"), id, data: fc.nat(9) }),
);
/** What a run says, with the prompt of the next one somewhere in it, and whether it has ended. */
const run = fc.record({
  said: fc.array(fc.array(chunk, { minLength: 1, maxLength: 3 }), { maxLength: 8 }),
  promptAt: fc.nat(8),
});

test("[S-27] [P-36] wherever a long run is folded, and wherever a reader stands, all comes to the same place", () => {
  fc.assert(
    fc.property(
      fc.array(run, { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      fc.infiniteStream(fc.nat(6)),
      (runs, ended, when) => {
        const all: Said[] = [prompt("run_0")];
        for (const [index, { said, promptAt }] of runs.entries()) {
          const deltas = said.map((chunks) => delta(`run_${index}`, ...chunks));
          all.push(...deltas.toSpliced(promptAt, 0, prompt(`run_${index + 1}`)));
          if (ended || index < runs.length - 1) all.push(finished(`run_${index}`));
        }
        const { log, history, events, isOver } = logOf(all);
        for (const [index, event] of events.entries()) {
          log.append([event], { epoch: 1, n: index + 1 });
          // Late, too: for a moment that is past, when the run is over meanwhile.
          const late = when.next().value;
          if (late < 3) history.fold(Math.max(0, event.seq - late), isOver);
          else if (late === 3 && event.type === "run.finished") history.fold(event.seq, isOver);
        }
        expect(history.transcript()).toEqual(transcriptOf(events));
        expect(JSON.parse(history.transcriptText())).toEqual(transcriptOf(events));
        expect(log.taken(1)).toBe(events.length);
        for (let cursor = 0; cursor <= events.length; cursor++) {
          const tail = [...log.after(cursor)].flat();
          expect(transcriptOf(tail, transcriptOf(events.slice(0, cursor))), `from ${cursor}`).toEqual(
            transcriptOf(events),
          );
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("[S-27] what a run has finished saying is one event before it is over, and what it is saying stays as it is", () => {
  const { log, history, events, isOver } = logOf([
    prompt("run_1"),
    delta("run_1", { type: "text-start", id: "1" }),
    delta("run_1", { type: "text-delta", id: "1", delta: "all " }),
    delta("run_1", { type: "text-delta", id: "1", delta: "said" }, { type: "text-end", id: "1" }),
    delta("run_1", { type: "text-start", id: "2" }, { type: "text-delta", id: "2", delta: "not " }),
    delta("run_1", { type: "text-delta", id: "2", delta: "yet" }),
  ]);
  for (const event of events) history.stored([event], log.append([event]).length);
  history.foldFinished(isOver);
  const rows = [...log.after(0)].flat();
  expect(rows.map(({ from, seq }) => [from ?? seq, seq])).toEqual([
    [1, 1],
    [2, 4],
    [5, 5],
    [6, 6],
  ]);
  expect(history.folded).toBe(4);
  history.foldFinished(isOver);
  expect([...log.after(0)].flat()).toEqual(rows);
});

test("[S-27] a fold that comes after the run's end, for a moment before it, leaves the end to the next one", () => {
  const { log, history, events, isOver } = logOf([
    prompt("run_1"),
    delta("run_1", { type: "text-start", id: "1" }, { type: "text-delta", id: "1", delta: "cut" }),
    finished("run_1"),
  ]);
  for (const event of events) log.append([event]);
  history.fold(2, isOver);
  history.fold(3, isOver);
  expect(history.transcript()).toEqual(transcriptOf(events));
});

test("[S-27] the more a run has said, the more has to come before it is folded again", () => {
  const bytes = LIMITS.unfoldedBytes;
  const long = { type: "text-delta", id: "1", delta: "x".repeat(100_000) };
  const { log, history, events, isOver } = logOf([
    prompt("run_1"),
    delta("run_1", { type: "text-start", id: "1" }),
    ...Array.from({ length: 30 }, () => delta("run_1", long)),
    delta("run_1", { type: "text-end", id: "1" }),
  ]);
  for (const event of events) {
    log.append([event]);
    history.stored([event], 0);
  }
  expect(history.stored([], bytes - 1)).toBe(false);
  expect(history.stored([], 1)).toBe(true);
  history.foldFinished(isOver);
  expect(history.folded).toBe(events.length);
  expect(history.stored([], bytes)).toBe(false);
  expect(history.stored([], 3_000_100 - bytes)).toBe(false);
  expect(history.stored([], 200)).toBe(true);
});

test("[S-27] an object that wakes in the middle of a part folds nothing before it has seen one begin or end", () => {
  const { log, history, events, isOver } = logOf([
    prompt("run_1"),
    delta("run_1", { type: "text-start", id: "1" }, { type: "text-delta", id: "1", delta: "before " }),
    delta("run_1", { type: "text-delta", id: "1", delta: "and after" }),
    delta("run_1", { type: "text-end", id: "1" }),
    delta("run_1", { type: "text-start", id: "2" }),
  ]);
  for (const event of events) log.append([event]);
  history.stored(events.slice(2, 3), 0);
  history.foldFinished(isOver);
  expect(history.folded).toBe(0);
  history.stored(events.slice(3), 0);
  history.foldFinished(isOver);
  expect(history.folded).toBe(4);
});
