/** Commands: with a bound on time and on what is kept of the output, and nothing left behind when they are given up. */
import { existsSync } from "node:fs";
import type { AdapterContext } from "../adapter.ts";

export type CommandResult = { exitCode: number | null; signal?: string; output: string; timedOut?: true };

/** Of a long output the beginning and the end are kept: what was run, and how it ended. */
const HEAD_BYTES = 16 * 1024;
const TAIL_BYTES = 16 * 1024;

/** Between asking a program to leave and making it. */
const GRACE_MS = 2_000;

const SHELL = existsSync("/bin/bash") ? "/bin/bash" : "/bin/sh";

/** Starts a program and collects what it prints; it is ended with the run and after `timeoutMs`. @throws when it cannot be started */
export function runCommand(
  command: { program: string; args: readonly string[]; cwd: string; env: Record<string, string>; timeoutMs: number },
  { spawn, signal: stop, clock }: Pick<AdapterContext, "spawn" | "signal" | "clock">,
): Promise<CommandResult> {
  const { program, args, cwd, env, timeoutMs } = command;
  const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  const kept = new Ends(HEAD_BYTES, TAIL_BYTES);
  child.stdout?.on("data", (part: Buffer) => kept.push(part));
  child.stderr?.on("data", (part: Buffer) => kept.push(part));
  const cancels: (() => void)[] = [];
  const end = () => {
    signalGroup(child.pid, "SIGTERM");
    cancels.push(clock.after(GRACE_MS, () => signalGroup(child.pid, "SIGKILL")));
  };
  let timedOut = false;
  cancels.push(
    clock.after(timeoutMs, () => {
      timedOut = true;
      end();
    }),
  );
  stop.addEventListener("abort", end, { once: true });
  if (stop.aborted) end();
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    // Not `close`: a program left in the background may hold the pipes for ever.
    child.once("exit", (exitCode, signal) => {
      stop.removeEventListener("abort", end);
      for (const cancel of cancels) cancel();
      setImmediate(() =>
        resolve({ exitCode, ...(signal ? { signal } : {}), output: kept.text, ...(timedOut ? { timedOut } : {}) }),
      );
    });
  });
}

export function shellCommand(command: string): { program: string; args: string[] } {
  return { program: SHELL, args: ["-c", command] };
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // gone: what was wanted has happened
  }
}

/** The first and the last bytes of a stream, and how many were between them. */
export class Ends {
  readonly #headBytes: number;
  readonly #tailBytes: number;
  readonly #head: Buffer[] = [];
  #tail: Buffer = Buffer.alloc(0);
  #inHead = 0;
  #total = 0;

  constructor(headBytes: number, tailBytes: number) {
    this.#headBytes = headBytes;
    this.#tailBytes = tailBytes;
  }

  push(part: Buffer): void {
    this.#total += part.byteLength;
    const first = part.subarray(0, this.#headBytes - this.#inHead);
    if (first.byteLength > 0) this.#head.push(first);
    this.#inHead += first.byteLength;
    const rest = part.subarray(first.byteLength);
    if (rest.byteLength > 0) this.#tail = Buffer.concat([this.#tail, rest]).subarray(-this.#tailBytes);
  }

  get text(): string {
    const missing = this.#total - this.#inHead - this.#tail.byteLength;
    const head = Buffer.concat(this.#head);
    if (missing === 0) return Buffer.concat([head, this.#tail]).toString("utf8");
    return `${head.toString("utf8")}\n[… ${missing} bytes were left out here]\n${this.#tail.toString("utf8")}`;
  }
}
