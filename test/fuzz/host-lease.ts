/**
 * One leased session on a host: runs in the order they came, each by its own seeded script, saves, and the way out
 * (stopping → saved → stopped → released). What is on disk decides what happens next, so a daemon that starts again goes on.
 */
import type { HumanLoopReply, RunEvent } from "#protocol/events.ts";
import type { FromHostData, RunStart, ToHostData } from "#protocol/messages.ts";
import { Dial } from "./dial.ts";
import type { Host } from "./host.ts";
import type { LinkSide } from "./link-side.ts";
import { type Act, scriptOf } from "./run-script.ts";

export type RunDisk = {
  start: RunStart;
  phase: "accepted" | "announced" | "starting" | "started";
  /** How much of its script is done. */
  done: number;
  stopWanted: boolean;
  /** What it asked and is not answered yet. */
  asked: string | undefined;
  replies: HumanLoopReply[];
};
export type LeaseDisk = {
  sessionId: string;
  epoch: number;
  link: LinkSide;
  phase: "held" | "stopped";
  stopWanted: boolean;
  runs: RunDisk[];
  worker: "none" | "live" | "gone";
  dirty: boolean;
};

export class HostLease {
  readonly disk: LeaseDisk;
  readonly dial: Dial;
  readonly #host: Host;
  #over = false;
  /** What the loop waits for; a new one makes the old one void. */
  #turn = 0;
  #stopping = false;
  #syncAttempt = 0;
  #syncing = false;

  constructor(host: Host, disk: LeaseDisk) {
    this.#host = host;
    this.disk = disk;
    const { life } = host;
    this.dial = new Dial({
      side: disk.link,
      token: host.id,
      epoch: disk.epoch,
      random: host.random,
      after: (delayMs, label, run) => host.after(delayMs, `data ${label}`, run),
      connect: (client) => host.world.session(disk.sessionId).dialHost(host.world.through(host, life, client)),
      take: (message) => this.#take(message as ToHostData),
      ended: (name) => this.#ended(name),
      misunderstood: (message) => host.world.violation("P-15", `${host.id}: ${message}`),
    });
    this.#next();
  }

  /** The host is to be empty: saved and given back when its runs have ended. */
  leave(): void {
    this.disk.stopWanted = true;
    this.#next();
  }

  end(): void {
    this.#over = true;
    this.dial.close();
  }

  #ended(name: string): void {
    if (name === "replaced") return;
    this.#host.forget(this.disk, name === "stale_epoch" && this.disk.phase === "stopped" ? "release" : "silently");
  }

  #say(message: FromHostData): void {
    if (!this.#over) this.dial.say(message);
  }

  #take(message: ToHostData): void {
    const { disk } = this;
    const run = "runId" in message ? disk.runs.find(({ start }) => start.runId === message.runId) : undefined;
    switch (message.type) {
      case "run.start":
        // Crossed our `stopped` on the way: the session places the run anew.
        if (disk.phase !== "held" || disk.runs.some(({ start }) => start.runId === message.run.runId)) return;
        disk.runs.push({
          start: message.run,
          phase: "accepted",
          done: 0,
          stopWanted: false,
          asked: undefined,
          replies: [],
        });
        disk.stopWanted = this.#host.draining;
        this.#say({ type: "run.accepted", runId: message.run.runId });
        break;
      case "run.stop":
        if (run) run.stopWanted = true;
        break;
      case "run.reply":
        this.#host.world.ledger.replied(this.#host.id, message.reply);
        run?.replies.push(message.reply);
        break;
      case "worker.stop":
        for (const each of disk.runs) each.stopWanted = true;
        disk.stopWanted = true;
        break;
      default:
        return;
    }
    this.#next();
  }

  /** Looks at the disk and does the next thing; called whenever something on it has changed. */
  #next(): void {
    if (this.#over) return;
    const { disk } = this;
    const turn = ++this.#turn;
    const later = (delayMs: number, label: string, work: () => void) =>
      this.#host.after(delayMs, label, () => {
        if (!this.#over && turn === this.#turn) work();
      });
    const [run] = disk.runs;
    if (disk.phase === "stopped") return this.#release(later);
    if (run) return this.#drive(run, later);
    if (disk.stopWanted) return this.#stop(later);
    if (disk.dirty) later(this.#host.random.int(50, 2_000), "saves", () => this.#sync(() => this.#next()));
  }

  #drive(run: RunDisk, later: Later): void {
    const { random, world } = this.#host;
    const { disk } = this;
    this.#stopping = false;
    const { runId } = run.start;
    if (run.phase === "accepted") {
      if (run.stopWanted) return later(10, "gives the run up", () => this.#abort(run, "cancelled"));
      if (disk.worker !== "live") this.#say({ type: "worker.status", state: "starting" });
      const slow = random.chance(world.mood.slowStart) ? random.int(60_000, 400_000) : random.int(50, 2_500);
      return later(slow, "has the worker ready", () => {
        if (disk.worker !== "live") this.#say({ type: "worker.status", state: "active" });
        disk.worker = "live";
        if (this.#host.offlineAtStart) this.#host.goOffline();
        this.#host.offlineAtStart = false;
        run.phase = "announced";
        this.#say({ type: "run.started", runId });
        this.#next();
      });
    }
    if (run.phase === "announced") return this.#begin(run, later);
    // The machine went down under it.
    if (disk.worker !== "live") return later(10, "finds the worker gone", () => this.#abort(run, "container_failed"));
    if (run.phase === "starting") {
      return later(random.int(5, 300), "has told the runner", () => {
        run.phase = "started";
        this.#next();
      });
    }
    if (run.stopWanted) return later(random.int(10, 8_000), "stops the run", () => this.#finish(run, "cancelled"));
    const act = scriptOf(world.seed, run.start)[run.done];
    if (!act) return later(10, "ends the run", () => this.#finish(run, "succeeded"));
    if (act.do === "wait") return;
    later(act.afterMs, act.do, () => this.#act(run, act));
  }

  /** The runner is told once the session has stored that it will be (P-34). */
  #begin(run: RunDisk, later: Later): void {
    const { random, world } = this.#host;
    if (run.stopWanted) return later(10, "gives the run up", () => this.#abort(run, "cancelled"));
    if (this.dial.drained) {
      return later(random.int(1, 20), "tells the runner", () => {
        run.phase = "starting";
        world.ledger.executed(this.#host.id, this.disk, run.start);
        this.#next();
      });
    }
    later(20, "waits to be heard", () => this.#next());
  }

  #act(run: RunDisk, act: Act): void {
    const { world } = this.#host;
    switch (act.do) {
      case "speak":
        world.ledger.spoke(run.start);
        this.#events(run, ...act.events);
        break;
      case "ask": {
        const reply = run.replies.find(({ requestId }) => requestId === act.requestId);
        if (run.asked === undefined) {
          run.asked = act.requestId;
          this.#events(run, act.event, { type: "run.status", data: { state: "waiting" } });
          return this.#next();
        }
        // Looks again when the answer is there.
        if (!reply) return;
        run.asked = undefined;
        this.#events(run, { type: "run.status", data: { state: "running" } });
        break;
      }
      case "abort":
        return this.#abort(run, "container_failed");
      case "finish":
        return this.#finish(run, act.outcome);
      case "poison":
        world.count("poison run");
        world.agenda.after(0, `${this.#host.id} poisoned`, () => world.crash(this.#host, "machine"));
        run.done++;
        return;
      case "wait":
        return;
      default:
        act satisfies never;
    }
    run.done++;
    this.#next();
  }

  #events(run: RunDisk, ...events: RunEvent[]): void {
    this.#say({ type: "run.events", runId: run.start.runId, events });
  }

  #finish(run: RunDisk, outcome: "succeeded" | "failed" | "cancelled" | "timed_out"): void {
    this.#events(
      run,
      { type: "message.stop", data: { messageId: `m-${run.start.runId}`, text: "done" } },
      { type: "run.finished", data: { outcome } },
    );
    this.#endRun(run);
  }

  #abort(run: RunDisk, reason: "cancelled" | "container_failed"): void {
    this.#say({ type: "run.aborted", runId: run.start.runId, reason, evidence: "simulated" });
    this.#endRun(run);
  }

  #endRun(run: RunDisk): void {
    if (this.disk.worker === "gone") this.disk.worker = "none";
    this.disk.runs = this.disk.runs.filter((each) => each !== run);
    this.disk.dirty = true;
    this.#next();
  }

  #stop(later: Later): void {
    const { disk } = this;
    if (!this.#stopping) this.#say({ type: "worker.status", state: "stopping" });
    this.#stopping = true;
    const stopped = () => {
      disk.worker = "none";
      disk.phase = "stopped";
      this.#say({ type: "worker.status", state: "stopped" });
      this.#next();
    };
    if (!disk.dirty) return later(this.#host.random.int(10, 5_000), "removes the worker", stopped);
    later(10, "saves", () => this.#sync(() => this.#next()));
  }

  /** The session has to know first. */
  #release(later: Later): void {
    if (this.dial.drained) return this.#host.forget(this.disk, "release");
    later(200, "waits for the session to know", () => this.#next());
  }

  #sync(then: () => void): void {
    if (this.#syncing) return;
    this.#syncing = true;
    const { world, life, id } = this.#host;
    const { sessionId, epoch } = this.disk;
    const snapshotId = `snap-${id}-${epoch}-${this.disk.link.sent}`;
    const failed = (reason: string) => {
      const retryInMs = Math.min(60_000, 1_000 * 2 ** this.#syncAttempt++);
      this.#say({ type: "sync.failed", reason, attempt: this.#syncAttempt, retryInMs });
      this.#host.after(retryInMs, "saves again", () => !this.#over && then());
    };
    world
      .session(sessionId)
      .commitSnapshot(life, { hostId: id, epoch, snapshotId, files: 1, bytes: 1, bytesSent: 1, traceId: "trc_sync" })
      .then(
        (result) =>
          this.#host.guarded(life, () => {
            this.#syncing = false;
            if (!result.ok) return failed(result.reason);
            this.#syncAttempt = 0;
            this.disk.dirty = false;
            then();
          }),
        (error: unknown) =>
          this.#host.guarded(life, () => {
            this.#syncing = false;
            failed(String(error));
          }),
      );
  }
}

type Later = (delayMs: number, label: string, work: () => void) => void;
