/** What a host says while its image is being got, is there, cannot be had, or has gone; and what a worker gets. */
import { describe, expect, test } from "vitest";
import { type EnsuredImage, ImageUnavailable } from "../../executor-host/container/base-image.ts";
import type { WorkerEngine } from "../../executor-host/container/port.ts";
import { WorkerStartError } from "../../executor-host/container/port.ts";
import { gatherFacts } from "../../executor-host/facts.ts";
import { createLogs } from "../../executor-host/logs.ts";
import { type ImageState, WorkerImage } from "../../executor-host/worker-image.ts";
import { Inbox } from "../support/inbox.ts";

const logger = createLogs({ level: "silent" }).logger;

class Peer {
  wanted: string | undefined;
  now = 0;
  readonly engineHas = new Set<string>();
  readonly asked: (PromiseWithResolvers<EnsuredImage> & { wanted: string | undefined })[] = [];
  readonly changes = new Inbox<true>();
  /** Ends the waiting of whoever waits with a limit. */
  readonly timers: (() => void)[] = [];
  readonly image = new WorkerImage({
    wanted: () => this.wanted,
    has: async (image) => this.engineHas.has(image),
    ensure: (wanted) => {
      const asked = { wanted, ...Promise.withResolvers<EnsuredImage>() };
      this.asked.push(asked);
      return asked.promise;
    },
    changed: () => this.changes.put(true),
    clock: {
      now: () => this.now,
      after: (_delayMs, run) => {
        this.timers.push(run);
        return () => {};
      },
    },
    logger,
  });

  async gives(image: string): Promise<void> {
    this.engineHas.add(image);
    this.asked.at(-1)?.resolve({ image });
    await this.changes.next(() => true);
  }

  async refuses(): Promise<void> {
    this.asked.at(-1)?.reject(new ImageUnavailable("no registry answers", "pull it"));
    await this.changes.next(() => true);
  }
}

describe("the daemon's image", () => {
  test("whoever asks meanwhile waits for one attempt; later it is only looked at", async () => {
    const peer = new Peer();
    const answers = [peer.image.state({ wait: true }), peer.image.forWorker(), peer.image.forWorker()];
    await Promise.resolve();
    await Promise.resolve();
    await peer.gives("a:1");
    expect(await Promise.all(answers)).toEqual([{ ok: true, image: "a:1" }, "a:1", "a:1"]);
    expect(await peer.image.forWorker()).toBe("a:1");
    expect(peer.asked).toHaveLength(1);
  });

  test("an attempt that takes long is said to be under way, and its end is told", async () => {
    const peer = new Peer();
    peer.wanted = "a:1";
    const state = peer.image.state({ wait: true });
    while (peer.timers.length === 0) await Promise.resolve();
    peer.timers.at(-1)?.();
    expect(await state).toMatchObject({ ok: false, reason: expect.stringContaining("a:1 is being fetched") });
    await peer.gives("a:1");
    expect(await peer.image.state({ wait: false })).toEqual({ ok: true, image: "a:1" });
  });

  test("a failure has its reason and fix, and is not tried again at once, but for a worker it is", async () => {
    const peer = new Peer();
    const first = peer.image.state({ wait: true });
    while (peer.asked.length === 0) await Promise.resolve();
    await peer.refuses();
    const refused = { ok: false, reason: "no registry answers", fix: "pull it" };
    expect(await first).toEqual(refused);
    expect(await peer.image.state({ wait: true })).toEqual(refused);
    expect(peer.asked).toHaveLength(1);
    const forWorker = peer.image.forWorker();
    while (peer.asked.length === 1) await Promise.resolve();
    await peer.refuses();
    const error = await forWorker.catch((caught) => caught);
    expect(error).toBeInstanceOf(WorkerStartError);
    expect(error).toMatchObject({ message: "no registry answers", evidence: "pull it" });
    peer.now += 60_000;
    const later = peer.image.state({ wait: true });
    while (peer.asked.length === 2) await Promise.resolve();
    await peer.gives("a:1");
    expect(await later).toEqual({ ok: true, image: "a:1" });
  });

  test("one that has gone, and one that the operator has changed, are got again", async () => {
    const peer = new Peer();
    const attempts = async (image: string) => {
      const before = peer.asked.length;
      const got = peer.image.forWorker();
      while (peer.asked.length === before) await Promise.resolve();
      await peer.gives(image);
      return await got;
    };
    expect(await attempts("a:1")).toBe("a:1");
    peer.engineHas.clear();
    expect(await attempts("a:1")).toBe("a:1");
    peer.wanted = "b:1";
    expect(await attempts("b:1")).toBe("b:1");
    expect(peer.asked.map(({ wanted }) => wanted)).toEqual([undefined, undefined, "b:1"]);
  });
});

describe("[R-2.2] what a host offers", () => {
  const images = {} as WorkerEngine["images"];
  const engine = (vmMode: WorkerEngine["vmMode"], answers = true): WorkerEngine =>
    ({
      vmMode,
      ...(vmMode === "process" ? {} : { images }),
      available: async () =>
        answers ? { ok: true, version: "1" } : { ok: false, reason: "No Docker engine answers", fix: "Start it" },
    }) as Partial<WorkerEngine> as WorkerEngine;
  const noImage: ImageState = { ok: false, reason: "no registry answers", fix: "pull it" };
  const facts = async (engines: WorkerEngine[], image: ImageState, waited: boolean[] = []) =>
    (
      await gatherFacts({
        identity: { name: "h", labels: {} } as Parameters<typeof gatherFacts>[0]["identity"],
        settings: { slots: 1 } as Parameters<typeof gatherFacts>[0]["settings"],
        engines,
        image: async ({ wait }) => {
          waited.push(wait);
          return image;
        },
        providers: async () => ({
          scripted: { state: "ready" },
          codex: { state: "environment_not_ready", reason: "not installed" },
        }),
        draining: () => false,
      })
    ).facts;

  test("image there: its modes, providers as they are", async () => {
    const { vmModes, providers } = await facts([engine("docker"), engine("firecracker")], { ok: true, image: "a" });
    expect(vmModes).toEqual(["docker", "firecracker"]);
    expect(providers.scripted).toEqual({ state: "ready" });
  });

  test("no image, nothing else: every provider says why and what to do; one with an own reason keeps it", async () => {
    const waited: boolean[] = [];
    const { vmModes, providers } = await facts([engine("docker")], noImage, waited);
    expect(vmModes).toEqual(["docker"]);
    expect(providers).toEqual({
      scripted: { state: "environment_not_ready", reason: "no registry answers", fix: "pull it" },
      codex: { state: "environment_not_ready", reason: "not installed" },
    });
    expect(waited).toEqual([true]);
  });

  test("no image, but processes are allowed: those, without waiting for the image", async () => {
    const waited: boolean[] = [];
    const { vmModes, providers } = await facts([engine("docker"), engine("process")], noImage, waited);
    expect(vmModes).toEqual(["process"]);
    expect(providers.scripted).toEqual({ state: "ready" });
    expect(waited).toEqual([false]);
  });

  test("no engine answers: no mode, the engine's reason, and no image is asked for", async () => {
    const waited: boolean[] = [];
    const { vmModes, providers } = await facts([engine("docker", false)], noImage, waited);
    expect(vmModes).toEqual([]);
    expect(providers.scripted).toMatchObject({ state: "environment_not_ready", reason: "No Docker engine answers" });
    expect(waited).toEqual([]);
  });
});
