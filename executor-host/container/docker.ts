/**
 * Workers as Docker containers. The one file that imports dockerode.
 *
 *   start   image there? ► folders ► create ► start ► health │ exit, whichever comes first
 *
 * `wait` before a container has started answers 0 at once (dockerode, Engine API), so every wait here follows a start.
 */
import { lchown, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Docker from "dockerode";
import { containerName, containerOptions, type EngineTraits, INSIDE, type User, workerUser } from "./container-spec.ts";
import { DockerImages } from "./docker-images.ts";
import { type EngineInfo, judgeEngine } from "./engine-check.ts";
import { LABEL, ownedBy } from "./labels.ts";
import { lastWords, unframe } from "./last-words.ts";
import {
  EXIT_UNSEEN,
  type Worker,
  type WorkerEngine,
  type WorkerExit,
  type WorkerSpec,
  WorkerStartError,
} from "./port.ts";
import { judge } from "./reaper.ts";
import { waitForHealth } from "./runner-health.ts";
import { RUNNER_SOCKET, socketPath } from "./socket-path.ts";
import { waitForEnd } from "./wait.ts";
import { exitFromCode } from "./worker-exit.ts";

const askTimeoutMs = 5_000;
const engineAwayPauseMs = 1_000;

export type DockerEngineOptions = {
  /** The engine's socket; absent: DOCKER_HOST, else Docker's own default. */
  engineSocket?: string;
  /** Name of an OCI runtime that boots a Firecracker micro-VM, as the engine knows it; absent: the engine's default. */
  microVmRuntime?: string;
  /** From the container's start to the runner's first health, in milliseconds. */
  healthTimeoutMs?: number;
};

export class DockerEngine implements WorkerEngine {
  readonly vmMode: "docker" | "firecracker";
  readonly images: DockerImages;
  readonly #docker: Docker;
  readonly #runtime: string | undefined;
  readonly #healthTimeoutMs: number;
  readonly #starting = new Set<string>();
  #init: boolean | undefined;

  constructor(options: DockerEngineOptions = {}) {
    this.#docker = new Docker(options.engineSocket === undefined ? undefined : { socketPath: options.engineSocket });
    this.images = new DockerImages(this.#docker);
    this.#runtime = options.microVmRuntime;
    this.vmMode = options.microVmRuntime === undefined ? "docker" : "firecracker";
    this.#healthTimeoutMs = options.healthTimeoutMs ?? 30_000;
  }

  async available(): ReturnType<WorkerEngine["available"]> {
    try {
      const info = await within(askTimeoutMs, this.#docker.info() as Promise<EngineInfo>);
      return judgeEngine(info, this.#runtime);
    } catch (error) {
      return {
        ok: false,
        reason: `No Docker engine answers: ${messageOf(error)}`,
        fix: "Install and start Docker, and let the user who runs this host use it (group docker).",
      };
    }
  }

  async start(spec: WorkerSpec): Promise<Worker> {
    const user = workerUser();
    try {
      const socket = socketPath(spec.runDir, RUNNER_SOCKET);
      const [traits] = await Promise.all([this.#traits(spec.image), prepareFolders(spec, user)]);
      const container = await this.#create(spec, user, traits);
      this.#starting.add(container.id);
      try {
        // Not before: only now no other worker of this session can be listening there.
        await rm(socket, { force: true, recursive: true });
        await this.#bringUp(container, socket);
      } catch (error) {
        await this.#removeContainer(container);
        throw error;
      } finally {
        this.#starting.delete(container.id);
      }
      return { id: container.id, sessionId: spec.sessionId, epoch: spec.epoch, socketPath: socket };
    } catch (error) {
      if (error instanceof WorkerStartError) throw error;
      throw new WorkerStartError("The container could not be started.", messageOf(error));
    }
  }

  async find(installationId: string): Promise<Worker[]> {
    const found = await this.#docker.listContainers({ filters: filters(installationId) });
    return found.flatMap((container) => {
      const owned = ownedBy(container.Labels, installationId);
      const runDir = container.Mounts.find((mount) => mount.Destination === INSIDE.run)?.Source;
      return owned && runDir ? [{ id: container.Id, ...owned, socketPath: join(runDir, RUNNER_SOCKET) }] : [];
    });
  }

  async exited(worker: Worker): Promise<WorkerExit> {
    const container = this.#docker.getContainer(worker.id);
    for (;;) {
      try {
        return await exitOf(container);
      } catch (error) {
        if (statusOf(error) === 404) return { exitCode: EXIT_UNSEEN, outOfMemory: false };
        // The engine went away, which says nothing about the worker: ask again when it is back.
        await delay(engineAwayPauseMs);
      }
    }
  }

  async remove(worker: Worker, graceMs: number): Promise<void> {
    const container = this.#docker.getContainer(worker.id);
    // Docker counts grace in whole seconds.
    await container.stop({ t: Math.ceil(graceMs / 1000) }).catch(unless(304, 404));
    const removed = await this.#removeContainer(container);
    // A container that was gone before may have a successor, whose socket this is by now.
    if (removed) await rm(worker.socketPath, { force: true, recursive: true });
  }

  async reap(installationId: string): Promise<{ removed: string[] }> {
    const found = await this.#docker.listContainers({ all: true, filters: filters(installationId) });
    const removed: string[] = [];
    for (const { Id: id, State: state, Labels: labels, Created, Mounts } of found) {
      const seen = { id, state, labels, createdAtMs: Created * 1000 };
      if (!judge(seen, installationId, Date.now(), this.#starting).reap) continue;
      // Without force: a container that came to life since the list was made refuses (409), and stays.
      const gone = await this.#docker
        .getContainer(id)
        .remove({ v: true })
        .then(
          () => true,
          (error: unknown) => unless(404, 409)(error) ?? false,
        );
      if (!gone) continue;
      removed.push(id);
      const runDir = Mounts.find((mount) => mount.Destination === INSIDE.run)?.Source;
      if (runDir) await rm(join(runDir, RUNNER_SOCKET), { force: true, recursive: true });
    }
    return { removed };
  }

  async #traits(image: string): Promise<EngineTraits> {
    this.#init ??= Boolean(((await this.#docker.info()) as EngineInfo).InitBinary);
    try {
      const { Config } = await this.#docker.getImage(image).inspect();
      const imageVolumes = Object.keys(Config.Volumes ?? {});
      return { init: this.#init, imageVolumes, ...(this.#runtime === undefined ? {} : { runtime: this.#runtime }) };
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
      throw new WorkerStartError(
        `The image ${image} is not on this host.`,
        `The engine has no image "${image}". Get it on this host with "docker pull ${image}" (or build or load it), or name another image in the app.`,
      );
    }
  }

  async #create(spec: WorkerSpec, user: User, traits: EngineTraits): Promise<Docker.Container> {
    const options = containerOptions(spec, user, traits);
    try {
      return await this.#docker.createContainer(options);
    } catch (error) {
      if (statusOf(error) !== 409) throw error;
    }
    // The name is taken: by a worker of this session that is dead, which makes room, or by one that lives.
    const holder = this.#docker.getContainer(containerName(spec.installationId, spec.sessionId));
    const { Id, State, Config } = await holder.inspect();
    // Of any age: one that was never started, and is not being started here, was left by a daemon that died in between.
    const seen = { id: Id, state: State.Status, labels: Config.Labels, createdAtMs: 0 };
    if (!judge(seen, spec.installationId, Date.now(), this.#starting).reap) {
      throw new WorkerStartError(
        "A worker of this session is already there.",
        `Container ${Id.slice(0, 12)} (${State.Status}, epoch ${Config.Labels[LABEL.epoch] ?? "unknown"}) has to be removed first.`,
      );
    }
    await this.#docker.getContainer(Id).remove({ v: true }).catch(unless(404));
    return this.#docker.createContainer(options);
  }

  async #bringUp(container: Docker.Container, socket: string): Promise<void> {
    await container.start();
    const ended = new AbortController();
    const died = exitOf(container, ended.signal).then(async (exit) => {
      const why = exit.outOfMemory ? "it ran out of memory" : (exit.signal ?? `exit code ${exit.exitCode}`);
      throw new WorkerStartError(`The runner ended before it answered (${why}).`, await this.#lastWords(container));
    });
    const healthy = waitForHealth(socket, this.#healthTimeoutMs, ended.signal).catch(async (error: unknown) => {
      if (ended.signal.aborted) return;
      throw new WorkerStartError(`The runner did not come up: ${messageOf(error)}`, await this.#lastWords(container));
    });
    try {
      await Promise.race([died, healthy]);
    } finally {
      // Ends the loser of the race; what it says about that is nobody's business.
      died.catch(() => undefined);
      ended.abort();
    }
  }

  async #lastWords(container: Docker.Container): Promise<string> {
    const log = await container.logs({ stdout: true, stderr: true, tail: 50 });
    return lastWords(unframe(log));
  }

  /** Resolves when it is gone; true when it was this call that removed it. */
  async #removeContainer(container: Docker.Container): Promise<boolean> {
    // 409: somebody else is removing it already.
    const removed = await container.remove({ force: true, v: true }).then(
      () => true,
      (error: unknown) => unless(404, 409)(error) ?? false,
    );
    await waitForEnd(container, { condition: "removed" }).catch(unless(404));
    return removed;
  }
}

/** Resolves when the container, which has been started, is not running any more. */
async function exitOf(container: Docker.Container, signal?: AbortSignal): Promise<WorkerExit> {
  const exitCode = await waitForEnd(container, signal && { signal });
  const outOfMemory = await container.inspect().then(
    ({ State }) => State.OOMKilled,
    (error: unknown) => unless(404)(error) ?? false,
  );
  return exitFromCode(exitCode, outOfMemory);
}

/** The worker's folders belong to the worker's user. */
async function prepareFolders(spec: WorkerSpec, user: User): Promise<void> {
  for (const dir of [spec.workspaceDir, spec.runDir]) {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    if (process.getuid?.() === 0) await lchown(dir, user.uid, user.gid);
  }
}

function filters(installationId: string): { label: string[] } {
  return { label: [`${LABEL.installation}=${installationId}`] };
}

async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`no answer in ${timeoutMs} ms`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
    late.catch(() => undefined);
  }
}

/** A handler of refusals that takes these statuses as "already so" and throws every other error. */
function unless(...statuses: number[]): (error: unknown) => undefined {
  return (error) => {
    if (statuses.includes(statusOf(error) ?? 0)) return undefined;
    throw error;
  };
}

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && "statusCode" in error && typeof error.statusCode === "number"
    ? error.statusCode
    : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
