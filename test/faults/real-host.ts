/** The real daemon with workers as plain processes, at a real control plane: what happens to its machine is the test's. */
import type { ChildProcess } from "node:child_process";
import { HostFolder, killed } from "../support/host-process.ts";
import { Follower } from "./follower.ts";
import type { Pool } from "./pool.ts";

export class RealHost {
  readonly folder: HostFolder;
  daemon: (ChildProcess & { log: string[] }) | undefined;
  readonly #pool: Pool;

  private constructor(pool: Pool, folder: HostFolder) {
    this.#pool = pool;
    this.folder = folder;
  }

  /** Joined, not started. @param url where it finds the control plane, when not at its own address */
  static async joined(pool: Pool, url = pool.plane.url, folder = hostFolder()): Promise<RealHost> {
    const host = new RealHost(pool, folder);
    const { joinToken = "" } = await pool.plane.bootstrap("joinToken");
    const { code, stderr } = await folder.gantry(["host", "join", url, "--token", joinToken]);
    if (code !== 0) throw new Error(`the host did not join: ${stderr}`);
    return host;
  }

  start(env: NodeJS.ProcessEnv = {}): void {
    Object.assign(this.folder.env, env);
    this.daemon = this.folder.daemon();
  }

  /** Asks for a run of the scripted provider, in a new session or in this one, and reads along. */
  async follow(prompt: string, sessionId?: string): Promise<Follower> {
    const { plane } = this.#pool;
    const body = { prompt, sessionId: sessionId ?? (await this.#session()) };
    const answer = await plane.call("/api/runs/queue/enqueue", { method: "POST", body });
    const run = (await answer.json()) as { runId: string; sessionId: string };
    if (answer.status !== 202) throw new Error(`enqueue: HTTP ${answer.status} ${JSON.stringify(run)}`);
    return new Follower(() => this.#pool.plane, run);
  }

  async attempts(runId: string): Promise<number> {
    const answer = await this.#pool.plane.call(`/api/runs/${runId}`);
    return ((await answer.json()) as { run: { attempts: number } }).run.attempts;
  }

  /** The daemon is killed; what it left running is ended with its folder. */
  async end(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.daemon) await killed(this.daemon, signal);
    this.daemon = undefined;
  }

  async #session(): Promise<string> {
    const answer = await this.#pool.plane.call("/api/sessions", {
      method: "POST",
      body: { title: "fault", provider: "scripted", vmMode: "process" },
    });
    return ((await answer.json()) as { session: { id: string } }).session.id;
  }
}

export const hostFolder = () => new HostFolder({ GANTRY_ALLOW_PROCESS_MODE: "1", GANTRY_NETWORK: "none" });

/** What is wrong with a run that should have counted to `count` and succeeded at its first attempt. */
export async function faulty(host: RealHost, run: Follower, count: number): Promise<string[]> {
  const wrong = [...run.flaws];
  if (run.ended !== "succeeded") wrong.push(`it ended ${run.ended}`);
  if (run.said.length !== count || run.said.some((n, index) => n !== (run.said[0] ?? 0) + index))
    wrong.push(`said ${run.said.length} of ${count}: ${run.said.slice(0, 3)}…`);
  const attempts = await host.attempts(run.runId);
  if (attempts !== 1) wrong.push(`${attempts} attempts`);
  return wrong;
}
