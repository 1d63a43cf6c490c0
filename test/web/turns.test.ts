import { describe, expect, it } from "vitest";
import type { NewEvent, SessionEvent } from "#protocol/events.ts";
import { initialState, issue, receive, type SessionState } from "../../web/session/session-state.ts";
import { turnsOf, waiting } from "../../web/session/turns.ts";
import { deployRun, prompted, running, said, text } from "../support/portal-story.ts";

const ID = "ses_00000000000000000001";

function state(events: readonly NewEvent[]): SessionState {
  const numbered = events.map(
    (event, index) => ({ v: 1, seq: index + 1, at: index, sessionId: ID, traceId: "t", ...event }) as SessionEvent,
  );
  return receive(initialState(ID), { type: "events", events: numbered });
}
const prompt = (id: string, words: string) => ({ type: "prompt", id, prompt: { text: words } }) as const;

describe("turns and the queue", () => {
  it("keeps a follow-up out of the conversation until its run is on", () => {
    const queued = [...deployRun("r1"), prompted("r2", "cmd_2", "Then this")];
    const before = state(queued);
    expect(turnsOf(before).map((turn) => turn.key)).toEqual(["r1"]);
    expect(waiting(before)).toMatchObject([{ key: "cmd_2", runId: "r2", text: "Then this" }]);
    const after = state([
      ...queued,
      said("r1", "msg_late", text("x", "The first run says more.")),
      { type: "run.finished", runId: "r1", data: { outcome: "succeeded" } },
      ...running("r2"),
      said("r2", "msg_2", text("y", "And now the second.")),
    ]);
    expect(waiting(after)).toEqual([]);
    const [first, second] = turnsOf(after);
    // What the first run said after the follow-up had been sent still stands with the first.
    expect(first?.replies.map((reply) => reply.id)).toEqual(["msg_deploy", "msg_late"]);
    expect(second?.prompt?.id).toBe("cmd_2");
    expect(second?.replies.map((reply) => reply.id)).toEqual(["msg_2"]);
  });

  it("shows the first queued prompt of an idle session in the conversation", () => {
    const idle = state([prompted("r1", "cmd_1", "Wait for a host")]);
    expect(turnsOf(idle)).toMatchObject([{ key: "r1", run: { state: "queued" } }]);
    expect(waiting(idle)).toEqual([]);
  });

  it("shows what is being sent where it will stand", () => {
    const idle = issue(state([]), prompt("cmd_1", "Hello"), 0);
    expect(turnsOf(idle)).toMatchObject([{ key: "cmd_1", out: { state: "sending" } }]);
    const busy = issue(state(deployRun("r1")), prompt("cmd_2", "More"), 0);
    expect(turnsOf(busy)).toHaveLength(1);
    expect(waiting(busy)).toMatchObject([{ key: "cmd_2", out: { state: "sending" } }]);
  });
});
