import { afterEach, expect, test } from "vitest";
import type { WorkerEngine } from "../../executor-host/container/port.ts";
import { createLogs } from "../../executor-host/logs.ts";
import { HeldClock } from "../support/held-clock.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";
import { HostUnderTest } from "./session/host-under-test.ts";

let under: HostUnderTest;
afterEach(() => under.stop());

/** An engine that is away until the test says otherwise. */
class AwayEngine extends ScriptedEngine implements WorkerEngine {
  override readonly vmMode = "docker" as never;
  away = true;
  asked = 0;

  override async available() {
    if (this.away) return { ok: false, reason: "No engine answers.", fix: "Start it." } as never;
    return super.available();
  }

  override async reap() {
    this.asked++;
    if (this.away) throw new Error("connect ENOENT");
    return super.reap();
  }
}

test("[R-2.2] an engine that is away is not offered, not named at the start, and complained about once per change", async () => {
  const clock = new HeldClock();
  under = await HostUnderTest.start({ clock });
  await under.host.close();
  const lines: { level: string; msg: string; vmMode?: string; modes?: string[] }[] = [];
  const stream = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const engine = new AwayEngine();
  under.otherEngines = [engine];
  under.logger = createLogs({ level: "info", stream }).logger;
  await under.launch();
  const facts = await under.plane.control.messages.next(({ type }) => type === "facts");
  expect(facts).toMatchObject({ facts: { vmModes: ["process"] } });
  expect(lines.find(({ msg }) => msg === "the host is up")?.modes).toEqual(["process"]);
  for (let times = 1; times <= 5; times++) {
    await clock.timer((delayMs) => delayMs === 2_000);
    clock.advance(2_000);
    await expect.poll(() => engine.asked).toBeGreaterThan(times);
    await under.host.facts();
  }
  const about = (vmMode: string) =>
    lines.filter((line) => line.vmMode === vmMode).map(({ level, msg }) => [level, msg]);
  expect(about("docker")).toEqual([
    ["warn", "this mode is not available"],
    ["warn", "the engine cannot say which workers run"],
  ]);
  engine.away = false;
  await clock.timer((delayMs) => delayMs === 2_000);
  clock.advance(2_000);
  await expect.poll(() => about("docker")).toContainEqual(["info", "the engine says which workers run"]);
  expect((await under.host.facts()).vmModes).toEqual(["process", "docker"]);
  expect(about("docker").at(-1)).toEqual(["info", "this mode is available"]);
});
