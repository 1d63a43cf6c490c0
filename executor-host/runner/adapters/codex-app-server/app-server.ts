/**
 * The Codex app server as a program of the run, with the provider at the other end of its pipes. Both talk JSON-RPC, one
 * message a line; the runner reads along, answers what the provider would not, and says things of its own.
 */
import type { ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import type { AdapterContext } from "../adapter.ts";
import { type Bridge, openBridge } from "./bridge.ts";

export type Message = {
  id?: string | number;
  method?: string;
  params?: Record<string, unknown>;
  result?: unknown;
  error?: unknown;
};

export type Ear = {
  /** From the provider, on its way to Codex; may be changed in place. */
  toCodex(message: Message): void;
  /** From Codex. True: it has been dealt with, the provider does not get it. */
  fromCodex(message: Message): boolean;
};

const STDERR_BYTES = 4_000;

export class AppServer {
  /** What the provider has to start instead of Codex. */
  readonly bridge: Pick<Bridge, "codexPath" | "env">;
  /** Its last words, as soon as it has gone, whatever the reason. */
  readonly exited: Promise<string>;
  readonly #child: ChildProcess;
  readonly #closeBridge: () => Promise<void>;
  #stderr = Buffer.alloc(0);
  #nextId = 1;

  private constructor(child: ChildProcess, bridge: Bridge, ear: Ear) {
    this.#child = child;
    this.bridge = { codexPath: bridge.codexPath, env: bridge.env };
    this.#closeBridge = bridge.close;
    child.stderr?.on("data", (part: Buffer) => {
      this.#stderr = Buffer.concat([this.#stderr, part]).subarray(-STDERR_BYTES);
    });
    // It left while it was written to; its exit says why.
    child.stdin?.on("error", () => {});
    this.exited = new Promise((resolve) => {
      child.once("error", (error) => resolve(error.message));
      // Not `close`: a program it left in the background may hold its pipes. What it said last is read by then.
      child.once("exit", (code, signal) => {
        const how = signal ? `was terminated by signal ${signal}` : `ended with code ${code}`;
        const words = () => [`Codex ${how}.`, this.#stderr.toString("utf8").trim()].filter(Boolean).join("\n");
        setImmediate(() => resolve(words()));
      });
    });
    void bridge.connected.then((provider) => this.#join(provider, ear));
  }

  static async start(
    command: { binary: string; args: readonly string[]; cwd: string; env: Readonly<Record<string, string>> },
    ear: Ear,
    context: AdapterContext,
  ): Promise<AppServer> {
    const bridge = await openBridge();
    const { binary, args, cwd, env } = command;
    const child = context.spawn(binary, args, { cwd, env: { ...env }, stdio: ["pipe", "pipe", "pipe"] });
    return new AppServer(child, bridge, ear);
  }

  /** Answers a request of Codex in the provider's place. */
  answer(id: string | number, result: unknown): void {
    this.#write({ id, result });
  }

  /** A request in the runner's own name; whether it succeeds is not waited for. */
  request(method: string, params: Record<string, unknown>): void {
    this.#write({ id: `gantry-${this.#nextId++}`, method, params });
  }

  /** Lets it go: by the end of its input, or at once with everything it has started. */
  async close({ force }: { force: boolean }): Promise<void> {
    if (force) this.#child.kill("SIGTERM");
    this.#child.stdin?.end();
    await this.#closeBridge();
  }

  #join(provider: Socket, ear: Ear): void {
    const orders = createInterface({ input: provider });
    orders.on("line", (line) => {
      const message = JSON.parse(line) as Message;
      ear.toCodex(message);
      this.#write(message);
    });
    orders.on("error", () => provider.destroy()); // the provider has let go of its end
    const { stdout } = this.#child;
    if (!stdout) throw new Error("Codex was started without pipes");
    const lines = createInterface({ input: stdout });
    lines.on("line", (line) => {
      const message = parse(line);
      if (message && (ear.fromCodex(message) || isOurs(message))) return;
      if (!provider.destroyed) provider.write(`${line}\n`);
    });
    lines.on("close", () => provider.end());
  }

  #write(message: Message): void {
    if (this.#child.stdin?.writable) this.#child.stdin.write(`${JSON.stringify(message)}\n`);
  }
}

/** Undefined for what is not JSON; the provider knows what to do with that. */
function parse(line: string): Message | undefined {
  return line.startsWith("{") ? (JSON.parse(line) as Message) : undefined;
}

function isOurs({ id, method }: Message): boolean {
  return method === undefined && typeof id === "string" && id.startsWith("gantry-");
}
