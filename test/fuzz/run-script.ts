/** What a run does, from its id, attempt and part: the same wherever and whenever it is carried out. */
import type { RunEvent } from "#protocol/events.ts";
import type { RunStart } from "#protocol/messages.ts";
import { Random } from "./random.ts";

export type Act =
  | { do: "speak"; afterMs: number; events: RunEvent[] }
  | { do: "ask"; afterMs: number; requestId: string; event: RunEvent }
  | { do: "finish"; afterMs: number; outcome: "succeeded" | "failed" | "timed_out" }
  | { do: "abort"; afterMs: number }
  /** Takes its machine down. */
  | { do: "poison"; afterMs: number }
  /** Hangs until somebody stops it. */
  | { do: "wait" };

const known = new Map<string, Act[]>();

export function scriptOf(seed: string | number, run: RunStart): Act[] {
  // A part that goes on after parking has a script of its own, as its provider goes on where it was.
  const key = `${seed}/${run.runId}/${run.attempt}/${run.part ?? 0}`;
  let script = known.get(key);
  if (!script) {
    if (known.size > 1_000) known.clear();
    script = write(new Random("script", key), run);
    known.set(key, script);
  }
  return script;
}

function write(random: Random, run: RunStart): Act[] {
  const acts: Act[] = [];
  const afterMs = () => (random.chance(0.1) ? random.int(5_000, 40_000) : random.int(20, 1_500));
  const length = random.int(0, 4);
  for (let index = 0; index < length; index++) {
    acts.push(
      random.chance(0.3)
        ? ask(random, run, index, afterMs())
        : { do: "speak", afterMs: afterMs(), events: speech(random, run, index) },
    );
  }
  const end = random.weighted({ finish: 80, nothing: 8, abort: 5, poison: 3, wait: 4 });
  if (end === "finish")
    acts.push({
      do: "finish",
      afterMs: afterMs(),
      outcome: random.weighted({ succeeded: 8, failed: 1, timed_out: 1 }),
    });
  else if (end === "wait") acts.push({ do: "wait" });
  else if (end !== "nothing") acts.push({ do: end, afterMs: afterMs() });
  return acts;
}

function speech(random: Random, run: RunStart, index: number): RunEvent[] {
  const messageId = `m-${run.runId}`;
  const events: RunEvent[] = [
    {
      type: "message.delta",
      data: {
        messageId,
        chunks: [
          { type: "text-start", id: `${index}` },
          { type: "text-delta", id: `${index}`, delta: `said ${index}` },
          // A part that stays open keeps what follows from being folded before the run is over.
          ...(index % 3 === 2 ? [] : [{ type: "text-end" as const, id: `${index}` }]),
        ],
      },
    },
  ];
  if (random.chance(0.2))
    events.push({ type: "todo.update", data: { items: [{ id: "1", text: "work", status: "in_progress" }] } });
  if (random.chance(0.2))
    events.push({ type: "run.status", data: { state: "running", conversationId: `c-${run.runId}` } });
  return events;
}

function ask(random: Random, run: RunStart, index: number, afterMs: number): Act {
  const requestId = `req_${run.runId.slice(4)}-${run.attempt}-${run.part ?? 0}-${index}`;
  const kind = random.pick(["permission", "question"] as const);
  const data = { requestId, kind, title: "May I?", detail: {}, options: [], multiple: false };
  return { do: "ask", afterMs, requestId, event: { type: "human_loop.requested", data } };
}
