/** An engine whose workers are scripted runners in the test's own process. They outlive a daemon, as containers do. */
import { join } from "node:path";
import type { Worker, WorkerEngine, WorkerExit, WorkerSpec } from "../../executor-host/container/port.ts";
import { Inbox } from "./inbox.ts";
import { ScriptedRunner } from "./scripted-runner.ts";

export type RunningWorker = { spec: WorkerSpec; worker: Worker; runner: ScriptedRunner; end(exit: WorkerExit): void };

export class ScriptedEngine implements WorkerEngine {
  readonly vmMode = "process";
  /** What was asked of the engine, in order; the test may add its own lines. */
  readonly journal: string[] = [];
  readonly workers = new Inbox<RunningWorker>();
  failStart: Error | undefined;
  /** Holds every start until it resolves. */
  gate: Promise<void> = Promise.resolve();
  readonly starts = new Inbox<WorkerSpec>();
  readonly removals = new Inbox<string>();
  /** Holds every removal until it resolves, once the worker is dead. */
  removalGate: Promise<void> = Promise.resolve();
  readonly #running = new Map<string, RunningWorker & { exited: Promise<WorkerExit> }>();
  #count = 0;

  async available() {
    return { ok: true as const, version: "1" };
  }

  async start(spec: WorkerSpec): Promise<Worker> {
    this.journal.push(`start ${spec.sessionId} ${spec.epoch}`);
    this.starts.put(spec);
    await this.gate;
    if (this.failStart) throw this.failStart;
    const runner = await new ScriptedRunner(join(spec.runDir, "runner.sock")).listen();
    const id = `worker-${++this.#count}`;
    const worker = { id, sessionId: spec.sessionId, epoch: spec.epoch, socketPath: runner.socketPath };
    const { promise, resolve } = Promise.withResolvers<WorkerExit>();
    const end = (exit: WorkerExit) => {
      this.#running.delete(id);
      runner.die();
      resolve(exit);
    };
    const running = { spec, worker, runner, end, exited: promise };
    this.#running.set(id, running);
    this.workers.put(running);
    return worker;
  }

  async find(): Promise<Worker[]> {
    return [...this.#running.values()].map(({ worker }) => worker);
  }

  async exited(worker: Worker): Promise<WorkerExit> {
    return (await this.#running.get(worker.id)?.exited) ?? { exitCode: -1, outOfMemory: false };
  }

  async remove(worker: Worker, graceMs: number): Promise<void> {
    this.journal.push(`remove ${worker.sessionId} ${worker.epoch}`);
    this.#running.get(worker.id)?.end({ exitCode: graceMs === 0 ? 137 : 143, outOfMemory: false });
    this.removals.put(worker.sessionId);
    await this.removalGate;
  }

  async reap(): Promise<{ removed: string[] }> {
    return { removed: [] };
  }

  stop(): void {
    for (const { end } of this.#running.values()) end({ exitCode: 0, outOfMemory: false });
  }
}
