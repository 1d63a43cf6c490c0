/** What is compared: Gantry's session and the bare object, driven in the same way from the same process. */
import type { Viewer } from "./viewer.ts";

/** One session (one object) with its host's socket. */
export type BenchSession = {
  /** How many events it was sent so far; the marks go from 1 to this. */
  readonly sent: number;
  /** Sends the next `count` events in one frame. */
  send(count: number): void;
  /** A new viewer that has everything up to the event marked `last`. Resolves when its socket is open. */
  join(last: number): Promise<Viewer>;
  /** Puts the object out of memory, as the platform does with an idle one; its sockets stay. */
  evict(): Promise<void>;
  /** Ends the run, where there is one; resolves when what was said is folded. */
  finish?(): Promise<void>;
};

export type Side = {
  name: "gantry" | "bare";
  newSession(): Promise<BenchSession>;
  dispose(): Promise<void>;
};

/** A run's event as JSON, of exactly this many bytes, with its mark in it. */
export function eventOf(mark: string, bytes = 200): string {
  const event = (padding: number) =>
    JSON.stringify({
      type: "message.delta",
      data: {
        messageId: "msg_bench",
        chunks: [{ type: "text-delta", id: "t", delta: mark + "x".repeat(padding) }],
      },
    });
  return event(bytes - event(0).length);
}

/** A-B-A-B …: both sides meet the same noise. What the warm-up gave is dropped. Answers each side's rounds, in order. */
export async function interleaved<T>(
  sides: readonly Side[],
  { rounds, warmUp }: { rounds: number; warmUp: number },
  measure: (side: Side) => Promise<T>,
): Promise<T[][]> {
  const measured: T[][] = sides.map(() => []);
  for (let round = -warmUp; round < rounds; round++) {
    for (const [index, side] of sides.entries()) {
      const value = await measure(side);
      if (round >= 0) measured[index]?.push(value);
    }
  }
  return measured;
}
