import { describe, expect, test } from "vitest";
import { judge, type Seen, UNSTARTED_GRACE_MS, type Verdict } from "../../../executor-host/container/reaper.ts";

const now = 1_000_000_000;
const labels = {
  "gantry.installation": "ins",
  "gantry.host": "hst_1",
  "gantry.session": "ses_1",
  "gantry.epoch": "1",
};
const seen = (change: Partial<Seen>): Seen => ({ id: "c1", state: "exited", labels, createdAtMs: now, ...change });
const none = new Set<string>();
const stays = (why: "foreign" | "alive" | "starting" | "unknown"): Verdict => ({ reap: false, why });

describe("reaping needs proof", () => {
  test.each<[string, Verdict]>([
    ["exited", { reap: true }],
    ["dead", { reap: true }],
    ["created", stays("starting")],
    ["running", stays("alive")],
    ["paused", stays("alive")],
    ["restarting", stays("alive")],
    ["removing", stays("unknown")],
    ["something new", stays("unknown")],
  ])("ours and %s", (state, verdict) => {
    expect(judge(seen({ state }), "ins", now, none)).toEqual(verdict);
    expect(judge(seen({ state }), "another", now, none)).toEqual(stays("foreign"));
  });

  test("no labels, or half of them: not ours", () => {
    expect(judge(seen({ labels: undefined }), "ins", now, none)).toEqual(stays("foreign"));
    expect(judge(seen({ labels: { "gantry.installation": "ins" } }), "ins", now, none)).toEqual(stays("foreign"));
  });

  test("what was created and never started goes after its grace", () => {
    const created = seen({ state: "created", createdAtMs: now - UNSTARTED_GRACE_MS });
    expect(judge(created, "ins", now, none)).toEqual(stays("starting"));
    expect(judge(created, "ins", now + 1, none)).toEqual({ reap: true });
  });

  test("a start of this process sees to its own container", () => {
    expect(judge(seen({}), "ins", now, new Set(["c1"]))).toEqual(stays("starting"));
  });
});
