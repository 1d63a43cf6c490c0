/** The scripted tools: they really read, write and run, in the working directory and nowhere else. */
import { readFile, writeFile } from "node:fs/promises";
import type { AdapterContext } from "../adapter.ts";
import { existingPath, writablePath } from "../workspace-path.ts";

/** Output beyond this is counted, not kept: a script may print for ever. */
const KEPT_OUTPUT_BYTES = 256 * 1024;

export class Tools {
  readonly cwd: string;
  readonly #environment: Record<string, string>;
  readonly #context: AdapterContext;

  constructor(cwd: string, environment: Record<string, string>, context: AdapterContext) {
    this.cwd = cwd;
    this.#environment = environment;
    this.#context = context;
  }

  /** @throws OutsideWorkspace, or the file system's error */
  async write(file: string, text: string): Promise<{ path: string; bytes: number }> {
    const bytes = Buffer.from(text);
    await writeFile(await writablePath(this.cwd, file), bytes);
    return { path: file, bytes: bytes.byteLength };
  }

  /** @throws OutsideWorkspace, or the file system's error */
  async read(file: string): Promise<{ path: string; content: string }> {
    return { path: file, content: await readFile(await existingPath(this.cwd, file), "utf8") };
  }

  /** Runs a command in a shell and collects what it prints; it is interrupted with the run. @throws without a shell */
  run(command: string): Promise<{ exitCode: number | null; signal?: string; output: string }> {
    const { signal: stop, spawn } = this.#context;
    const child = spawn("bash", ["-c", command], {
      cwd: this.cwd,
      env: this.#environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const kept = new Head(KEPT_OUTPUT_BYTES);
    child.stdout?.on("data", (part: Buffer) => kept.push(part));
    child.stderr?.on("data", (part: Buffer) => kept.push(part));
    const interrupt = () => {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGINT");
    };
    stop.addEventListener("abort", interrupt, { once: true });
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      // Not `close`: a program left in the background may hold the pipes for ever.
      child.once("exit", (exitCode, signal) => {
        stop.removeEventListener("abort", interrupt);
        setImmediate(() => resolve({ exitCode, ...(signal ? { signal } : {}), output: kept.text }));
      });
    });
  }
}

/** The first bytes of a stream of text, and how many more there were. */
class Head {
  readonly #maxBytes: number;
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(part: Buffer): void {
    if (this.#bytes < this.#maxBytes) this.#parts.push(part.subarray(0, this.#maxBytes - this.#bytes));
    this.#bytes += part.byteLength;
  }

  get text(): string {
    const missing = this.#bytes - Math.min(this.#bytes, this.#maxBytes);
    return Buffer.concat(this.#parts).toString("utf8") + (missing > 0 ? `\n[… ${missing} more bytes]` : "");
  }
}
