/**
 * Gantry as a person starts it: `npm start` in a process of its own, with its host and its containers. Tests speak to it
 * over HTTP, as everyone else does, and may kill parts of it.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { giveRunner } from "./runner-toolkit.ts";
import { within } from "./scripted-host.ts";

const BOOTSTRAP = fileURLToPath(new URL("../../executor-host/local/bootstrap.mjs", import.meta.url));

export type Started = { url: string; signInUrl: string; serviceToken: string; hostId: string };

export class Gantry {
  readonly stateDir: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly lines: string[] = [];
  started!: Started;
  #child!: ChildProcess;
  #ended!: Promise<number | null>;

  constructor(env: NodeJS.ProcessEnv = {}) {
    // Short: sockets live below it, and their paths are limited to about a hundred bytes.
    this.stateDir = mkdtempSync(join(tmpdir(), "g-"));
    this.#env = env;
  }

  static async start(env: NodeJS.ProcessEnv = {}, args: string[] = []): Promise<Gantry> {
    const gantry = new Gantry(env);
    await gantry.start(args);
    return gantry;
  }

  /** Starts it, or starts it again on the same state. */
  async start(args: string[] = []): Promise<Started> {
    giveRunner(join(this.stateDir, "host", "toolkit"));
    const all = [BOOTSTRAP, "start", "--json", "--no-open", "--state", this.stateDir, ...args];
    // The keys of whoever runs the tests have no business here.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ANTHROPIC|OPENAI)_/.test(name)));
    const child = spawn(process.execPath, all, { env: { ...env, ...this.#env }, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once("exit", resolve));
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on("line", (line) => this.lines.push(line));
    const ready = new Promise<Started>((resolve, reject) => {
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) =>
        resolve(JSON.parse(line) as Started),
      );
      child.once("exit", (code) =>
        reject(new Error(`npm start ended with ${code}:\n${this.lines.slice(-30).join("\n")}`)),
      );
    });
    this.started = await within(ready, () => `npm start to be ready:\n${this.lines.slice(-30).join("\n")}`, 90_000);
    return this.started;
  }

  /** A fresh one-time link: each works once. */
  async signInUrl(): Promise<string> {
    const { BOOTSTRAP_TOKEN } = JSON.parse(readFileSync(join(this.stateDir, "secrets.json"), "utf8")) as {
      BOOTSTRAP_TOKEN: string;
    };
    const { signInUrl } = await this.json<{ signInUrl: string }>("/api/bootstrap", {
      method: "POST",
      headers: { authorization: `Bearer ${BOOTSTRAP_TOKEN}` },
      body: { mint: ["signIn"] },
    });
    return signInUrl;
  }

  async call(path: string, init: Omit<RequestInit, "body"> & { body?: unknown } = {}): Promise<Response> {
    const { body, headers, ...rest } = init;
    return await fetch(new URL(path, this.started.url), {
      ...rest,
      headers: {
        authorization: `Bearer ${this.started.serviceToken}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...Object.fromEntries(new Headers(headers)),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async json<T>(path: string, init: Omit<RequestInit, "body"> & { body?: unknown } = {}): Promise<T> {
    const response = await this.call(path, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: HTTP ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }

  /** Runs a prompt to its end and answers the aggregate. */
  async run(body: {
    prompt: string;
    sessionId?: string;
    provider?: string;
    [more: string]: unknown;
  }): Promise<RunAnswer> {
    return await this.json<RunAnswer>("/api/runs/start", { method: "POST", body });
  }

  /** The process ids below `npm start` whose command line contains all of `words`. */
  processes(...words: string[]): number[] {
    return descendants(this.#child.pid ?? 0).filter((pid) => {
      const line = commandLine(pid);
      return words.every((word) => line.includes(word));
    });
  }

  /** The ids of this installation's containers. */
  containers(): string[] {
    const installation = (
      JSON.parse(readFileSync(join(this.stateDir, "host", "host.json"), "utf8")) as { installationId: string }
    ).installationId;
    return execFileSync(
      "docker",
      ["ps", "-aq", "--no-trunc", "--filter", `label=gantry.installation=${installation}`],
      { encoding: "utf8" },
    )
      .split("\n")
      .filter(Boolean);
  }

  /** Ctrl-C; answers the exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill("SIGINT");
    return await within(this.#ended, () => `npm start to end:\n${this.lines.slice(-30).join("\n")}`, 60_000);
  }

  async dispose(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.stop();
    rmSync(this.stateDir, { recursive: true, force: true });
  }
}

export type RunAnswer = {
  ok: boolean;
  runId: string;
  sessionId: string;
  outcome: string;
  text: string;
  reason?: string;
  evidence?: string;
};

function descendants(root: number): number[] {
  const parents = new Map<number, number[]>();
  for (const line of execFileSync("ps", ["-eo", "pid=,ppid="], { encoding: "utf8" }).split("\n")) {
    const [pid, parent] = line.trim().split(/\s+/).map(Number);
    if (pid && parent !== undefined) parents.set(parent, [...(parents.get(parent) ?? []), pid]);
  }
  const found: number[] = [];
  const look = (pid: number) => {
    for (const child of parents.get(pid) ?? []) {
      found.push(child);
      look(child);
    }
  };
  look(root);
  return found;
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\u0000", " ");
  } catch (error) {
    // It has ended meanwhile.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
