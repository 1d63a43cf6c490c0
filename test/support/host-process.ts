/** The real daemon as a process of its own, as an operator runs it, and the commands beside it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readRecord } from "../../executor-host/container/process-record.ts";
import { killTree } from "../../executor-host/container/process-tree.ts";
import { giveRunner } from "./runner-toolkit.ts";

const cli = join(import.meta.dirname, "../../executor-host/cli/gantry.mjs");

export type Finished = { code: number | null; stdout: string; stderr: string };

/** A control plane, as far as a host that joins has to know it. */
type Joinable = { url: string; bootstrap(mint: "joinToken"): Promise<{ joinToken?: string }> };

export class HostFolder {
  readonly dir = mkdtempSync(join(tmpdir(), "gh-"));
  readonly env: NodeJS.ProcessEnv;

  constructor(env: NodeJS.ProcessEnv = {}) {
    this.env = { PATH: process.env.PATH, HOME: this.dir, GANTRY_STATE: this.dir, ...env };
  }

  /** Runs one command to its end. */
  async gantry(args: string[], stdin?: string): Promise<Finished> {
    const child = this.#spawn(args);
    child.stdin?.end(stdin ?? "");
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (data) => (stdout += data));
    child.stderr?.on("data", (data) => (stderr += data));
    const [code] = await once(child, "close");
    return { code, stdout, stderr };
  }

  /** Joins this control plane, or joins it again under another address: with the same key it stays the same host. */
  async join(plane: Joinable, name = "test"): Promise<void> {
    const { joinToken = "" } = await plane.bootstrap("joinToken");
    const { code, stderr } = await this.gantry(["host", "join", plane.url, "--token", joinToken, "--name", name]);
    if (code !== 0) throw new Error(`the host could not join: ${stderr}`);
  }

  /** Starts the daemon; its log goes to `log`. */
  daemon(args: string[] = []): ChildProcess & { log: string[] } {
    giveRunner(join(this.dir, "toolkit"));
    const child = this.#spawn(["host", "run", ...args]);
    const log: string[] = [];
    child.stderr?.setEncoding("utf8").on("data", (text: string) => log.push(text));
    return Object.assign(child, { log });
  }

  async remove(): Promise<void> {
    await this.endWorkers();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Ends what a killed daemon left running: the workers named in this folder, with all that they started. */
  async endWorkers(): Promise<void> {
    const run = join(this.dir, "run");
    for (const name of safeList(run)) {
      const record = await readRecord(join(run, name));
      if (record) await killTree(record, 0);
    }
  }

  #spawn(args: string[]): ChildProcess {
    return spawn(process.execPath, [cli, ...args], { env: this.env, stdio: ["pipe", "pipe", "pipe"] });
  }
}

export async function killed(child: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const ended = once(child, "exit");
  child.kill(signal);
  return (await ended)[0];
}

function safeList(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
