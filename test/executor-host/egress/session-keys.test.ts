/** When a session's credentials are asked for, how long they count, and what happens when nobody answers. */
import { beforeEach, describe, expect, test } from "vitest";
import { type Delivery, DeliveryRefused } from "../../../executor-host/egress/control-credentials.ts";
import type { NetworkPolicy } from "../../../executor-host/egress/policy.ts";
import { SessionKeys } from "../../../executor-host/egress/session-keys.ts";
import { silentLogger } from "../../../executor-host/logs.ts";

const MINUTE = 60_000;
const id = "crd_00000000000000000000";
let now: number;
let asked: string[][];
let answer: () => Promise<Delivery>;
beforeEach(() => {
  now = 1_000_000;
  asked = [];
  answer = async () => delivery("sk-first");
});

const delivery = (value: string, policy?: NetworkPolicy): Delivery => ({
  policy,
  credentials: [{ id, kind: "anthropic", value }],
});
const session = (operatorPolicy?: NetworkPolicy) =>
  new SessionKeys({
    deliver: async (used) => {
      asked.push([...used]);
      return await answer();
    },
    settings: { OPENAI_API_KEY: "sk-own" },
    operatorPolicy,
    now: () => now,
    logger: silentLogger,
  });
const keyOf = (keys: SessionKeys, name = "claude-code") => {
  const upstream = keys.upstreams().get(name);
  return upstream?.state === "ready" ? Object.values(upstream.keyHeaders())[0] : upstream?.reason;
};
const unreachable = async (): Promise<Delivery> => {
  throw new TypeError("fetch failed");
};

describe("a session's keys", () => {
  test("are asked for once, when the worker first wants out, and the operator's own fill what is not there", async () => {
    const keys = session();
    expect(asked).toEqual([]);
    expect(keys.policy()).toEqual({ mode: "none" });
    expect(await Promise.all([keys.ready(), keys.ready()])).toEqual([true, true]);
    expect(await keys.ready()).toBe(true);
    expect(asked).toHaveLength(1);
    expect(keyOf(keys)).toBe("sk-first");
    expect(keyOf(keys, "opencode")).toBe("Bearer sk-own");
    expect(keys.policy()).toEqual({ mode: "providers" });
  });

  test("a rotated key counts at the next request after the word, and after a minute without any word", async () => {
    const keys = session();
    await keys.ready();
    answer = async () => delivery("sk-second");
    await keys.ready();
    expect(keyOf(keys)).toBe("sk-first");
    keys.changed();
    await keys.ready();
    expect(keyOf(keys)).toBe("sk-second");
    answer = async () => ({ policy: undefined, credentials: [] });
    now += MINUTE;
    await keys.ready();
    expect(keyOf(keys), "revoked").toBe("auth_missing");
  });

  test("a control plane that is away does not end what goes on, for a quarter of an hour", async () => {
    const keys = session();
    await keys.ready();
    answer = unreachable;
    now += 14 * MINUTE;
    expect(await keys.ready()).toBe(true);
    expect(keyOf(keys)).toBe("sk-first");
    const before = asked.length;
    expect(await keys.ready(), "nobody waits for the same silence twice").toBe(true);
    expect(asked).toHaveLength(before);
    now += 2 * MINUTE;
    expect(await keys.ready()).toBe(false);
  });

  test("before the first answer nothing may go out, and each request asks again", async () => {
    const keys = session({ mode: "open" });
    answer = unreachable;
    expect(await keys.ready()).toBe(false);
    expect(keys.policy()).toEqual({ mode: "none" });
    answer = async () => delivery("sk-first");
    expect(await keys.ready()).toBe(true);
  });

  test("a refusal takes away what was delivered, at once", async () => {
    const keys = session();
    await keys.ready();
    answer = async () => {
      throw new DeliveryRefused("stale_epoch");
    };
    keys.changed();
    expect(await keys.ready()).toBe(false);
    expect([keyOf(keys), keyOf(keys, "opencode"), keys.policy()]).toEqual([
      "auth_missing",
      "auth_missing",
      { mode: "none" },
    ]);
  });

  test.each<[string, NetworkPolicy | undefined, NetworkPolicy | undefined, NetworkPolicy]>([
    ["no app, no operator", undefined, undefined, { mode: "providers" }],
    ["no app, the operator's word", undefined, { mode: "open" }, { mode: "open" }],
    ["an app's word, no operator", { mode: "open" }, undefined, { mode: "open" }],
    ["an app's word within the operator's", { mode: "open" }, { mode: "providers" }, { mode: "providers" }],
  ])("policy: %s", async (_name, app, operator, expected) => {
    const keys = session(operator);
    answer = async () => delivery("sk-first", app);
    await keys.ready();
    expect(keys.policy()).toEqual(expected);
  });

  test("what was used is told at its first use, then by the next question, and at the end", async () => {
    const keys = session();
    await keys.ready();
    keys.used(id);
    await keys.ready();
    expect(asked).toEqual([[], [id]]);
    keys.used(id);
    await keys.close();
    expect(asked).toEqual([[], [id], [id]]);
    expect(keyOf(keys), "nothing is left").toBe("auth_missing");
  });
});
