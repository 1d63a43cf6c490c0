/**
 * What becomes of a provider's tokens on their way to the session: the runner's gathering, then the host's, as they are, on a
 * clock that is moved by hand. Answers the frames that the host sends.
 */
import type { RunEvent } from "#protocol/events.ts";
import { silentLogger } from "../../executor-host/logs.ts";
import { DeltaGatherer } from "../../executor-host/runner/delta-gatherer.ts";
import { EventBatcher } from "../../executor-host/session/event-batcher.ts";
import { HeldClock } from "../support/held-clock.ts";

const messageId = "msg_tokens";

export function tokenFrames(tokens: number, perSecond: number): RunEvent[][] {
  const clock = new HeldClock();
  const frames: RunEvent[][] = [];
  const batcher = new EventBatcher(clock, silentLogger, (batch) => frames.push(...batch));
  let n = 0;
  const gatherer = new DeltaGatherer(clock, (chunks) => {
    batcher.add({ n: ++n, event: { type: "message.delta", data: { messageId, chunks } } });
  });
  gatherer.push({ type: "text-start", id: "t" });
  for (let token = 0; token < tokens; token++) {
    gatherer.push({ type: "text-delta", id: "t", delta: "abcdefghijkl".slice(0, 1 + ((token * 7) % 12)) });
    // Between half and one and a half of the mean, the same at every run.
    clock.advance((1_000 / perSecond) * (0.5 + ((token * 37) % 101) / 100));
  }
  gatherer.push({ type: "text-end", id: "t" });
  gatherer.flush();
  batcher.flush();
  batcher.discardTimer();
  return frames;
}
