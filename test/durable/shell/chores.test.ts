/** What an object owes and when it looks again, with a clock that the test moves. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Chores } from "../../../durable/shell/chores.ts";
import { Disk } from "../../fuzz/disk.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
afterEach(() => void vi.useRealTimers());

test("[S-4] what becomes due while something else is delivered goes out with it, and does not wait for the alarm's patience", async () => {
  const told: string[] = [];
  const chores = new Chores(new Disk(() => {}).storage({ alive: true }), {
    component: "test",
    laneOf: (key) => key,
    deadline: () => {},
    deliver: async (key) => {
      told.push(key);
      if (key === "slow") vi.advanceTimersByTime(200);
    },
  });
  await chores.settle();
  const now = Date.now();
  chores.outbox.put("slow", "1", now + 50);
  chores.outbox.put("gathered", "2", now + 100);
  await chores.settle();
  expect(told).toEqual([]);
  vi.advanceTimersByTime(50);
  await chores.alarm(Date.now());
  expect(told).toEqual(["slow", "gathered"]);
});

describe("[S-51] what was delivered", () => {
  function underTest() {
    const disk = new Disk(() => {});
    const told: string[] = [];
    const instance = () =>
      new Chores(disk.storage({ alive: true }), {
        component: "test",
        laneOf: (key) => key,
        deadline: () => {},
        deliver: async (key) => void told.push(key),
      });
    const rows = () => disk.rows<{ key: string }>("SELECT key FROM outbox").map(({ key }) => key);
    return { disk, told, instance, rows };
  }

  test("is not written down, and is owed no more", async () => {
    const { disk, told, instance } = underTest();
    const chores = instance();
    const { outbox } = chores;
    outbox.put("fleet/ask", {}, Date.now());
    const before = disk.changes;
    await chores.settle();
    expect(told).toEqual(["fleet/ask"]);
    expect(disk.changes).toBe(before);
    expect(outbox.owes("fleet/ask")).toBe(false);
    expect(outbox.due(Date.now())).toEqual([]);
    expect(outbox.nextAt(Date.now(), 0)).toBeUndefined();
  });

  test("leaves with the next entry, whose own is delivered like any other", async () => {
    const { told, instance, rows } = underTest();
    const chores = instance();
    chores.outbox.put("fleet/ask", {}, Date.now());
    await chores.settle();
    chores.outbox.put("index/run", {}, Date.now());
    expect(rows()).toEqual(["index/run"]);
    await chores.settle();
    chores.outbox.put("index/run", {}, Date.now());
    await chores.settle();
    expect(told).toEqual(["fleet/ask", "index/run", "index/run"]);
  });

  test("leaves with the alarm that was set for it", async () => {
    const { disk, told, instance, rows } = underTest();
    const chores = instance();
    chores.outbox.put("fleet/ask", {}, Date.now());
    await chores.settle();
    expect(rows()).toEqual(["fleet/ask"]);
    vi.setSystemTime(disk.alarmAt ?? 0);
    await chores.alarm(Date.now());
    expect(rows()).toEqual([]);
    expect(told).toEqual(["fleet/ask"]);
  });

  test("goes once more when the instance was gone before that", async () => {
    const { disk, told, instance, rows } = underTest();
    const first = instance();
    first.outbox.put("fleet/ask", {}, Date.now());
    await first.settle();
    vi.setSystemTime(disk.alarmAt ?? 0);
    await instance().alarm(Date.now());
    expect(told).toEqual(["fleet/ask", "fleet/ask"]);
    expect(rows()).toEqual([]);
  });
});

/** Chores that note which deadline rang, over a disk whose alarm can be looked at. */
function ringing(rings: (name: string, chores: Chores) => void) {
  const disk = new Disk(() => {});
  const chores: Chores = new Chores(disk.storage({ alive: true }), {
    component: "test",
    laneOf: (key) => key,
    deadline: (name) => rings(name, chores),
    deliver: async () => {},
  });
  return { disk, chores };
}

test("[S-19] one deadline that throws, or that sets itself again and again, does not starve the others", async () => {
  const rang: string[] = [];
  const { disk, chores } = ringing((name, { deadlines }) => {
    rang.push(name);
    if (name === "broken") throw new Error("planted");
    if (name === "busy") deadlines.set("busy", Date.now() + 10);
  });
  const began = Date.now();
  chores.deadlines.set("broken", began + 10);
  chores.deadlines.set("busy", began + 10);
  chores.deadlines.set("patient", began + 35);
  await chores.settle();
  expect(disk.alarmAt).toBe(began + 10);
  const logged = vi.spyOn(console, "log").mockImplementation(() => {});
  while (Date.now() < began + 40) {
    vi.setSystemTime(disk.alarmAt ?? Number.NaN);
    await chores.alarm(Date.now());
  }
  logged.mockRestore();
  expect(rang).toEqual(["broken", "busy", "busy", "busy", "patient", "busy"]);
  // Cleared when it had rung, though it threw: what is wrong with it is in the log, not in an endless alarm.
  expect(chores.deadlines.at("broken")).toBeUndefined();
});

test("[S-19] the alarm is at the first of all deadlines, whoever set his last; a later one does not move it", async () => {
  const { disk, chores } = ringing(() => {});
  const now = Date.now();
  chores.deadlines.set("late", now + 1_000);
  await chores.settle();
  expect(disk.alarmAt).toBe(now + 1_000);
  chores.deadlines.set("early", now + 100);
  await chores.settle();
  chores.deadlines.set("later", now + 5_000);
  await chores.settle();
  expect(disk.alarmAt).toBe(now + 100);
  // An instance that has just woken believes what the platform says.
  const next = new Chores(disk.storage({ alive: true }), {
    component: "test",
    laneOf: (key) => key,
    deadline: () => {},
    deliver: async () => {},
  });
  next.deadlines.set("mine", now + 2_000);
  await next.settle();
  expect(disk.alarmAt).toBe(now + 100);
});
