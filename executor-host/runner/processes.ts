/**
 * The programs of one run. Each is the leader of its own process group and carries a mark in its environment, unique to
 * this run in this runner, which its children inherit: so the ones that put themselves into another group (shells of an agent, daemons) are
 * found, too. The mark is read from /proc; where there is none, the groups have to do.
 *
 * A program that is slow to start may be handed from run to run: `release` at the end of one, `adopt` at the beginning of
 * the next. What it starts in between belongs to the run that has it then.
 */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";

const RUN_MARK = "GANTRY_RUN_MARK";

const KILL_LOOKS = 200;

/** The mark that a program was started with; it keeps that when another run takes it over. */
const marks = new WeakMap<ChildProcess, string>();

export class Processes {
  readonly #mark: string;
  readonly #children = new Set<ChildProcess>();
  /** Own mark, and the marks of programs that were taken over. */
  readonly #marks: Set<string>;
  /** Carry such a mark and are not this run's: what an earlier run left running, and what this one has let go. */
  readonly #spared = new Set<number>();
  #onEmpty: (() => void)[] = [];

  constructor(runId: string) {
    // Not the run's id alone: another attempt of the same run may live on the same machine (process mode).
    this.#mark = `${runId}.${randomUUID()}`;
    this.#marks = new Set([this.#mark]);
  }

  spawn(command: string, args: readonly string[], options: SpawnOptions & { env: NodeJS.ProcessEnv }): ChildProcess {
    const env = { ...options.env, [RUN_MARK]: this.#mark };
    const child = spawn(command, args, { ...options, env, detached: true });
    if (child.pid === undefined) return child; // its `error` event follows
    marks.set(child, this.#mark);
    this.#hold(child);
    return child;
  }

  /** The program goes on after this run, which neither waits for it nor ends it from now on. What it started is still ended. */
  release(child: ChildProcess): void {
    if (child.pid === undefined || !this.#children.has(child)) return;
    this.#spared.add(child.pid);
    this.#drop(child);
  }

  /** A program that an earlier run has released is this run's now, and so is what it starts from now on. */
  adopt(child: ChildProcess): void {
    const mark = marks.get(child);
    if (mark === undefined || child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    this.#marks.add(mark);
    for (const pid of this.#marked()) this.#spared.add(pid);
    this.#spared.delete(child.pid);
    this.#hold(child);
  }

  #hold(child: ChildProcess): void {
    this.#children.add(child);
    child.once("exit", () => this.#drop(child));
  }

  #drop(child: ChildProcess): void {
    this.#children.delete(child);
    if (this.#children.size === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  /** Resolves when every program that was started has exited (at once when there is none). */
  empty(): Promise<void> {
    if (this.#children.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onEmpty.push(resolve));
  }

  /** Sends a signal to everything that belongs to the run and still lives. */
  signal(signal: NodeJS.Signals): void {
    for (const child of this.#children) if (child.pid !== undefined) kill(-child.pid, signal);
    for (const pid of this.#marked()) kill(pid, signal);
  }

  /**
   * Kills everything that belongs to the run, and resolves when it has gone: a signal is sent at once and takes effect a
   * little later. Gives up on what does not die (it hangs in the kernel) after `KILL_LOOKS` looks.
   */
  async killed(): Promise<void> {
    for (let looks = 0; looks < KILL_LOOKS; looks++) {
      this.signal("SIGKILL");
      if (this.#marked().length === 0) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #marked(): number[] {
    const wanted = new Set([...this.#marks].map((mark) => `${RUN_MARK}=${mark}`));
    return processIds().filter(
      (pid) =>
        !this.#spared.has(pid) &&
        environmentOf(pid)
          .split("\0")
          .some((entry) => wanted.has(entry)),
    );
  }
}

function processIds(): number[] {
  try {
    return readdirSync("/proc")
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && pid > 0 && pid !== process.pid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Empty for a process that is gone or somebody else's. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH" || code === "EACCES" || code === "EPERM") return "";
    throw error;
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // Gone between the look and the signal: what was wanted has happened.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
