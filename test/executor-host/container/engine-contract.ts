/** What the daemon may rely on, whichever engine runs its workers. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  EXIT_UNSEEN,
  type Worker,
  type WorkerEngine,
  WorkerStartError,
} from "../../../executor-host/container/port.ts";
import { askHealth } from "../../../executor-host/container/runner-health.ts";
import { askStub, type StubBehaviour, StubFolders } from "../../support/stub-toolkit.ts";

export type EngineUnderTest = {
  /** A new engine object, as a daemon that was started again has one. */
  engine: (folders: StubFolders, healthTimeoutMs?: number) => WorkerEngine;
  image: () => Promise<string>;
  /** How a second engine object learns of an exit: docker asks the engine, a process that is no child cannot be asked. */
  exitCodeSeenLater: (exitCode: number) => number;
};

export function engineContract(name: string, under: EngineUnderTest): void {
  describe(`${name}: the engine contract`, () => {
    const installationId = `test-${randomUUID()}`;
    let folders: StubFolders;
    let engine: WorkerEngine;
    let image: string;

    beforeAll(async () => {
      image = await under.image();
      folders = await StubFolders.make();
      engine = under.engine(folders);
    }, 600_000);
    afterEach(async () => {
      for (const worker of await engine.find(installationId)) await engine.remove(worker, 0);
      await engine.reap(installationId);
    });
    afterAll(() => folders?.remove());

    const start = async (behaviour?: StubBehaviour): Promise<Worker> =>
      engine.start(await folders.spec(installationId, image, behaviour));
    const failure = async (behaviour: StubBehaviour, through = engine): Promise<WorkerStartError> => {
      const started = through.start(await folders.spec(installationId, image, behaviour));
      return (await started.then(
        () => undefined,
        (error: unknown) => error,
      )) as WorkerStartError;
    };

    test("is available here and says its version", async () => {
      expect(await engine.available()).toMatchObject({ ok: true, version: expect.any(String) });
    });

    test("start resolves when the runner answers its health", async () => {
      const worker = await start();
      expect(await askHealth(worker.socketPath)).toMatchObject({ ok: true });
    });

    test("a worker is found again, as it was, by a second engine object, and only under its installation", async () => {
      const worker = await start();
      const restarted = under.engine(folders);
      expect(await restarted.find(installationId)).toEqual([worker]);
      expect(await restarted.find(`${installationId}-other`)).toEqual([]);
      expect(await restarted.find("")).toEqual([]);
    });

    test("exited reports the exit code to whoever started the worker, and what can be known to whoever found it", async () => {
      const worker = await start();
      const restarted = under.engine(folders);
      const ends = [engine.exited(worker), restarted.exited(worker)];
      await askStub(worker, "POST", "/exit?code=7");
      expect(await Promise.all(ends)).toEqual([
        { exitCode: 7, outOfMemory: false },
        { exitCode: under.exitCodeSeenLater(7), outOfMemory: false },
      ]);
      expect(await engine.find(installationId)).toEqual([]);
    });

    test("exited of a worker that is long gone resolves", async () => {
      const worker = await start();
      await engine.remove(worker, 0);
      expect(await under.engine(folders).exited(worker)).toEqual({ exitCode: EXIT_UNSEEN, outOfMemory: false });
    });

    test("remove asks first: a worker that ends on SIGTERM ends well", async () => {
      const worker = await start();
      const end = engine.exited(worker);
      await engine.remove(worker, 30_000);
      expect(await end).toEqual({ exitCode: 0, outOfMemory: false });
      expect(existsSync(worker.socketPath)).toBe(false);
    });

    test("remove kills a worker that does not end on SIGTERM", async () => {
      const worker = await start({ mode: "deaf" });
      const end = engine.exited(worker);
      await engine.remove(worker, 50);
      expect(await end).toEqual({ exitCode: 137, outOfMemory: false, signal: "SIGKILL" });
    });

    test("remove is idempotent, also when called twice at once and by an engine that only found the worker", async () => {
      const worker = await start();
      const restarted = under.engine(folders);
      await Promise.all([engine.remove(worker, 0), restarted.remove(worker, 0)]);
      await engine.remove(worker, 0);
      expect(await engine.find(installationId)).toEqual([]);
    });

    test("a second worker of a session is refused while the first runs, and takes its place when that is dead", async () => {
      const spec = await folders.spec(installationId, image);
      const worker = await engine.start(spec);
      const second = { ...spec, epoch: 2 };
      await expect(engine.start(second)).rejects.toThrow("A worker of this session is already there.");
      expect(await engine.find(installationId)).toEqual([worker]);

      const end = engine.exited(worker);
      await askStub(worker, "POST", "/exit?code=1");
      await end;
      const successor = await engine.start(second);
      expect(successor).toMatchObject({ sessionId: spec.sessionId, epoch: 2 });
      // What is left of the first is not the second: removing it touches nothing.
      await engine.remove(worker, 0);
      expect(await engine.find(installationId)).toEqual([successor]);
      expect(await askHealth(successor.socketPath)).toMatchObject({ ok: true });
    });

    test("a runner that dies before it answers fails the start with its last words, and leaves nothing", async () => {
      const error = await failure({ mode: "dies", exitCode: 9, says: "no provider could be loaded" });
      expect(error).toBeInstanceOf(WorkerStartError);
      expect(error.message).toContain("exit code 9");
      expect(error.evidence).toBe("no provider could be loaded");
      expect(await engine.find(installationId)).toEqual([]);
      expect(await engine.reap(installationId)).toEqual({ removed: [] });
    });

    test("a runner that takes connections and never answers fails the start, and leaves nothing", async () => {
      const error = await failure({ mode: "silent" }, under.engine(folders, 1_000));
      expect(error).toBeInstanceOf(WorkerStartError);
      expect(error.message).toContain("no health from the runner in 1000 ms");
      expect(await engine.find(installationId)).toEqual([]);
    });

    test("a runner of another protocol fails the start at once", async () => {
      const error = await failure({ mode: "healthy", protocol: 99 });
      expect(error.message).toContain("speaks protocol 99");
    });

    test("a run folder whose socket would have too long a path is refused with the limit", async () => {
      const spec = await folders.spec(installationId, image);
      const error = await engine.start({ ...spec, runDir: `${folders.runRoot}/${"x".repeat(120)}` }).catch((e) => e);
      expect(error).toBeInstanceOf(WorkerStartError);
      expect(error.evidence).toMatch(/too long for a Unix socket: \d+ bytes, at most \d+/);
    });

    test("reap takes what is dead and ours, and leaves what runs or belongs to another installation", async () => {
      const foreign = await folders.spec(`${installationId}-foreign`, image);
      const workers = {
        running: await start(),
        dead: await start(),
        foreignDead: await engine.start(foreign),
      };
      const ends = [engine.exited(workers.dead), engine.exited(workers.foreignDead)];
      await askStub(workers.dead, "POST", "/exit?code=0");
      await askStub(workers.foreignDead, "POST", "/exit?code=0");
      await Promise.all(ends);

      expect(await under.engine(folders).reap(installationId)).toEqual({ removed: [workers.dead.id] });
      expect(existsSync(workers.dead.socketPath)).toBe(false);
      expect(await engine.find(installationId)).toEqual([workers.running]);
      expect(await engine.reap(foreign.installationId)).toEqual({ removed: [workers.foreignDead.id] });
    });
  });
}
