/** What an agent may have done for it by us: reading and writing files, and running commands, in the workspace alone. */
import type { ChildProcess } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import type { AdapterContext } from "../adapter.ts";
import { existingPath, writablePath } from "../workspace-path.ts";

type Params = Record<string, unknown>;
type ExitStatus = { exitCode: number | null; signal: string | null };
type Terminal = {
  child: ChildProcess;
  output: Buffer;
  truncated: boolean;
  maxBytes: number;
  exited: Promise<ExitStatus>;
};

const OUTPUT_BYTES = 256 * 1024;
const MAX_TERMINALS = 32;

export class Workspace {
  readonly #cwd: string;
  readonly #env: Record<string, string>;
  readonly #context: Pick<AdapterContext, "spawn">;
  readonly #terminals = new Map<string, Terminal & { status?: ExitStatus }>();
  #last = 0;

  constructor(cwd: string, env: Record<string, string>, context: Pick<AdapterContext, "spawn">) {
    this.#cwd = cwd;
    this.#env = env;
    this.#context = context;
  }

  /** Undefined for a method that is not about the workspace. Rejects in words for the agent. */
  serve(method: string, params: Params): Promise<unknown> | undefined {
    switch (method) {
      case "fs/read_text_file":
        return this.#read(params);
      case "fs/write_text_file":
        return this.#write(params);
      case "terminal/create":
        return this.#create(params);
      case "terminal/output":
        return this.#output(params);
      case "terminal/wait_for_exit":
        return this.#terminal(params).exited;
      case "terminal/kill":
        return this.#kill(params);
      case "terminal/release":
        return this.#release(params);
      default:
        return undefined;
    }
  }

  async #read({ path, line, limit }: Params): Promise<{ content: string }> {
    const content = await readFile(await existingPath(this.#cwd, String(path)), "utf8");
    if (typeof line !== "number" && typeof limit !== "number") return { content };
    const from = Math.max(0, Number(line ?? 1) - 1);
    const to = typeof limit === "number" ? from + limit : undefined;
    return { content: content.split("\n").slice(from, to).join("\n") };
  }

  async #write({ path, content }: Params): Promise<object> {
    await writeFile(await writablePath(this.#cwd, String(path)), String(content ?? ""));
    return {};
  }

  async #create({ command, args, env, cwd, outputByteLimit }: Params): Promise<{ terminalId: string }> {
    if (this.#terminals.size >= MAX_TERMINALS) throw new Error("Too many terminals are open: release some.");
    const own = Array.isArray(env) ? env.map(({ name, value }) => [String(name), String(value)]) : [];
    const child = this.#context.spawn(String(command), Array.isArray(args) ? args.map(String) : [], {
      cwd: await existingPath(this.#cwd, typeof cwd === "string" ? cwd : this.#cwd),
      env: { ...this.#env, ...Object.fromEntries(own) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const exited = new Promise<ExitStatus>((resolve) => {
      child.once("error", () => resolve({ exitCode: 127, signal: null }));
      child.once("exit", (exitCode, signal) => setImmediate(() => resolve({ exitCode, signal })));
    });
    const maxBytes = Math.min(Number(outputByteLimit ?? OUTPUT_BYTES), OUTPUT_BYTES);
    const terminal: Terminal & { status?: ExitStatus } = {
      ...{ child, output: Buffer.alloc(0), truncated: false, maxBytes, exited },
    };
    const keep = (part: Buffer) => {
      const all = Buffer.concat([terminal.output, part]);
      terminal.truncated ||= all.byteLength > maxBytes;
      terminal.output = all.subarray(-maxBytes);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    void exited.then((status) => {
      terminal.status = status;
    });
    const terminalId = `terminal-${++this.#last}`;
    this.#terminals.set(terminalId, terminal);
    return { terminalId };
  }

  async #output(params: Params): Promise<object> {
    const { output, truncated, status } = this.#terminal(params);
    return { output: output.toString("utf8"), truncated, ...(status ? { exitStatus: status } : {}) };
  }

  async #kill(params: Params): Promise<object> {
    const { child, status } = this.#terminal(params);
    if (!status && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    return {};
  }

  async #release(params: Params): Promise<object> {
    await this.#kill(params);
    this.#terminals.delete(String(params.terminalId));
    return {};
  }

  #terminal({ terminalId }: Params): Terminal & { status?: ExitStatus } {
    const terminal = this.#terminals.get(String(terminalId));
    if (!terminal) throw new Error(`There is no terminal ${terminalId}.`);
    return terminal;
  }
}
