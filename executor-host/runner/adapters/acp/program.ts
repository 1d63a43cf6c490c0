/** The agent as a program of the run, and when it has gone. */
import type { ChildProcess } from "node:child_process";
import { evidenceOf } from "../../failure.ts";
import type { AdapterContext } from "../adapter.ts";
import type { Command } from "./agents.ts";

const STDERR_BYTES = 4_000;
/** How long it may take to leave by itself, once nothing more is asked of it. */
const LEAVE_MS = 500;

export class Program {
  readonly child: ChildProcess;
  /** Its last words, as soon as it has gone, whatever the reason. */
  readonly exited: Promise<string>;
  /** Called with each line that it prints beside the protocol. */
  onLine: (text: string) => void = () => {};
  readonly #context: Pick<AdapterContext, "clock">;
  #stderr = Buffer.alloc(0);
  #line = "";

  constructor(name: string, { command, args, env }: Command, cwd: string, context: AdapterContext) {
    this.#context = context;
    this.child = context.spawn(command, args, { cwd, env, stdio: ["pipe", "pipe", "pipe"] });
    this.child.stderr?.on("data", (part: Buffer) => {
      this.#stderr = Buffer.concat([this.#stderr, part]).subarray(-STDERR_BYTES);
      const lines = (this.#line + part.toString("utf8")).split("\n");
      this.#line = (lines.pop() ?? "").slice(-STDERR_BYTES);
      for (const text of lines) this.onLine(text);
    });
    this.exited = new Promise((resolve) => {
      this.child.once("error", (error) => resolve(error.message));
      this.child.once("exit", (code, signal) => {
        const how = signal ? `was terminated by signal ${signal}` : `ended with code ${code}`;
        setImmediate(() => resolve(evidenceOf([`${name} ${how}.`, this.stderr].filter(Boolean).join("\n"))));
      });
    });
  }

  get stderr(): string {
    return this.#stderr.toString("utf8").trim();
  }

  /** Asks it to leave: first by the end of its input, soon after by a signal to all that it has started in its group. */
  async leave(): Promise<void> {
    this.child.stdin?.end();
    await Promise.race([
      this.exited,
      new Promise<void>((resolve) => void this.#context.clock.after(LEAVE_MS, resolve)),
    ]);
    const { pid } = this.child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGTERM");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // all of them have gone
    }
  }
}
