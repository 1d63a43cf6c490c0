/** Who is told what an object owes, in which order, and who waits for whom. */
import { expect, test } from "vitest";
import { Deliveries } from "../../../durable/shell/deliveries.ts";
import { Outbox } from "../../../durable/shell/outbox.ts";
import { Disk } from "../../fuzz/disk.ts";

const NOW = Date.now();

/** Deliveries that the test lets arrive one by one. */
function underTest() {
  const outbox = new Outbox(new Disk(() => {}).storage({ alive: true }));
  const underWay = new Map<string, PromiseWithResolvers<void>>();
  const said: string[] = [];
  const deliveries = new Deliveries(outbox, {
    laneOf: (key) => key.slice(0, key.indexOf("/")),
    failed: () => {},
    deliver: (key, body) => {
      said.push(`${key} ${body}`);
      const call = Promise.withResolvers<void>();
      underWay.set(key, call);
      return call.promise;
    },
  });
  const end = async (key: string, how: "arrives" | "fails" = "arrives") => {
    const call = underWay.get(key);
    underWay.delete(key);
    if (how === "fails") call?.reject(new Error("away"));
    else call?.resolve();
    await new Promise(setImmediate);
  };
  const put = (key: string, body: string, at = NOW) => {
    outbox.put(key, body, at);
    return deliveries.carry(outbox.takeFresh());
  };
  return { outbox, said, end, put, underWay };
}

test("[S-4] a lane goes in order, and does not wait for another that is slow", async () => {
  const { said, put, end, outbox } = underTest();
  void put("index/a", "1");
  void put("index/b", "1");
  const asked = put("fleet/ask", "1");
  expect(said).toEqual(["index/a 1", "fleet/ask 1"]);
  await end("fleet/ask");
  await asked;
  expect(said).toEqual(["index/a 1", "fleet/ask 1"]);
  await end("index/a");
  expect(said.at(-1)).toBe("index/b 1");
  await end("index/b");
  expect(outbox.due(NOW)).toEqual([]);
});

test("[S-4] an entry that cannot be read is told to whoever waits, and holds up no other lane or time", async () => {
  const { said, put, end, outbox } = underTest();
  const { read } = outbox;
  outbox.read = () => {
    throw new Error("the disk is gone");
  };
  await expect(put("index/a", "1")).rejects.toThrow("the disk is gone");
  outbox.read = read;
  const again = put("index/b", "1");
  expect(said).toEqual(["index/b 1"]);
  await end("index/b");
  await again;
});

test("[S-4] what is put while its lane is at work goes out with it; what is replaced under way goes once more", async () => {
  const { said, put, end, outbox } = underTest();
  void put("fleet/ask", "1");
  void put("fleet/withdraw", "1");
  void put("fleet/ask", "2");
  await end("fleet/ask");
  await end("fleet/withdraw");
  await end("fleet/ask");
  expect(said).toEqual(["fleet/ask 1", "fleet/withdraw 1", "fleet/ask 2"]);
  expect(outbox.due(NOW)).toEqual([]);
});

test("[S-4] what fails stays owed for later and lets the next one go; what is not due yet is not touched", async () => {
  const { said, put, end, outbox, underWay } = underTest();
  void put("index/a", "1");
  void put("index/b", "1");
  await put("archive/move", "1", NOW + 60_000);
  await end("index/a", "fails");
  await end("index/b");
  expect(said).toEqual(["index/a 1", "index/b 1"]);
  expect(underWay.size).toBe(0);
  expect(outbox.due(NOW + 120_000)).toEqual(["index/a", "archive/move"]);
  // Looked at again when the first of them is due, and not sooner.
  expect(outbox.nextAt(NOW, 1_000)).toBeGreaterThan(NOW);
});

test("[S-4] an entry that is put again and again keeps its time: it is gathered, not put off for ever", () => {
  const { outbox } = underTest();
  for (const later of [100, 150, 400]) outbox.put("index/session", String(later), NOW + later);
  expect(outbox.read("index/session", NOW + 100)).toMatchObject({ body: "400" });
});

test("[S-4] more lanes than go at once wait for each other, and all of them arrive", async () => {
  const { said, put, underWay, end } = underTest();
  const all = Promise.all(Array.from({ length: 40 }, (_none, index) => put(`lane${index}/x`, "1")));
  expect(said).toHaveLength(16);
  while (underWay.size > 0) await end([...underWay.keys()][0] as string);
  await all;
  expect(new Set(said).size).toBe(40);
});
