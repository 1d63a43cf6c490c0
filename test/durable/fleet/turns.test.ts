/** Whose turn it is: by example, and as properties of many queues. */
import { expect, test } from "vitest";
import { inTurn } from "../../../durable/fleet/turns.ts";
import { Random } from "../../fuzz/random.ts";

type Entry = { id: number; request: { requestedBy: string; priority?: number } };

function served(queue: Entry[], turns = new Map<string, number>(), placeable = (_entry: Entry) => true): Entry[] {
  const order: Entry[] = [];
  inTurn(queue, turns, (entry) => {
    if (!placeable(entry)) return false;
    order.push(entry);
    return true;
  });
  return order;
}
const queueOf = (text: string): Entry[] =>
  text.split(" ").map((word, id) => {
    const [requestedBy = "", priority] = word.split(":");
    return { id, request: priority === undefined ? { requestedBy } : { requestedBy, priority: Number(priority) } };
  });
const names = (entries: Entry[]) => entries.map(({ request }) => request.requestedBy).join(" ");

test("[F-17] people take turns; each one's own runs keep their order", () => {
  expect(names(served(queueOf("ada ada ada ada bob eve bob")))).toBe("ada bob eve ada bob ada ada");
  expect(served(queueOf("ada ada ada bob")).map(({ id }) => id)).toEqual([0, 3, 1, 2]);
});

test("[F-17] whoever was served longest ago is next", () => {
  const turns = new Map([
    ["ada", 7],
    ["bob", 3],
  ]);
  expect(names(served(queueOf("ada bob eve ada"), turns))).toBe("eve bob ada ada");
});

test("[F-17] a higher priority goes first, a lower one last", () => {
  // Served at a higher priority is served: bob comes before ada then.
  expect(served(queueOf("ada bob:-1 eve:2 ada:2 bob")).map(({ id }) => id)).toEqual([2, 3, 4, 0, 1]);
});

test("[F-17] what cannot be placed does not cost its owner the turn", () => {
  const queue = queueOf("ada bob ada bob");
  expect(served(queue, new Map(), ({ id }) => id !== 0).map(({ id }) => id)).toEqual([2, 1, 3]);
});

test("[F-17] in any queue: nothing is left out or repeated, priorities are kept, and nobody is ahead of another by more than a turn", () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = new Random("turns", String(seed));
    const people = ["ada", "bob", "eve", "joe"].slice(0, random.int(1, 4));
    const queue: Entry[] = Array.from({ length: random.int(0, 30) }, (_, id) => ({
      id,
      request: { requestedBy: random.pick(people), priority: random.int(-1, 1) },
    }));
    const before = new Map(people.filter(() => random.chance(0.5)).map((person) => [person, random.int(1, 9)]));
    const order = served(queue, before);
    expect(new Set(order.map(({ id }) => id)).size).toBe(queue.length);
    for (const priority of [-1, 0, 1]) {
      const level = order.filter(({ request }) => request.priority === priority);
      const first = order.findIndex(({ request }) => request.priority === priority);
      expect(order.slice(first, first + level.length)).toEqual(level);
      const left = new Map(
        people.map((person) => [person, level.filter((e) => e.request.requestedBy === person).length]),
      );
      const got = new Map(people.map((person) => [person, 0]));
      for (const { request } of level) {
        const person = request.requestedBy;
        got.set(person, (got.get(person) ?? 0) + 1);
        left.set(person, (left.get(person) ?? 0) - 1);
        for (const other of people)
          if ((left.get(other) ?? 0) > 0) expect(got.get(person)! - got.get(other)!).toBeLessThanOrEqual(1);
      }
      for (const person of people) {
        const own = level.filter(({ request }) => request.requestedBy === person).map(({ id }) => id);
        expect(own).toEqual([...own].sort((a, b) => a - b));
      }
    }
  }
});
