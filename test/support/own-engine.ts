/**
 * A Docker engine of a test's own, which may be killed: with its own folders, socket and containerd, and without a bridge,
 * so that it shares nothing with the machine's engine. Needs root.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const PATIENCE_MS = 60_000;

export class OwnEngine {
  readonly #dir = mkdtempSync(join(tmpdir(), "ge-"));
  readonly #args: string[];
  #daemon: ChildProcess | undefined;
  #log = "";

  private constructor(args: string[]) {
    this.#args = args;
  }

  /** @param args more of dockerd's own, `--live-restore` for one */
  static async start(args: string[] = []): Promise<OwnEngine> {
    const engine = new OwnEngine(args);
    await engine.start();
    return engine;
  }

  get url(): string {
    return `unix://${join(this.#dir, "d.sock")}`;
  }

  /** As a supervisor starts it (again), on what it left. Resolves when it answers. */
  async start(): Promise<void> {
    // A killed one cannot tidy up, and its containerd has died with it. Where init is slow to bury them they would pass for
    // alive.
    for (const pidFile of ["d.pid", "exec/containerd/containerd.pid"])
      rmSync(join(this.#dir, pidFile), { force: true });
    const at = (name: string) => join(this.#dir, name);
    const folders = ["--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("d.pid")];
    const apart = ["--host", this.url, "--bridge", "none", "--iptables=false", "--ip6tables=false"];
    const daemon = spawn("dockerd", [...folders, ...apart, ...this.#args], { stdio: ["ignore", "ignore", "pipe"] });
    daemon.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#log = (this.#log + text).slice(-4_000);
    });
    this.#daemon = daemon;
    for (const deadline = Date.now() + PATIENCE_MS; !this.#answers(); await delay(50)) {
      if (daemon.exitCode === null && Date.now() < deadline) continue;
      throw new Error(`the engine did not start:\n${this.#log}`);
    }
  }

  /** Gives it an image that the machine's own engine has. */
  take(image: string): void {
    const tar = join(this.#dir, "image.tar");
    execFileSync("docker", ["save", "-o", tar, image]);
    this.docker("load", "-i", tar);
    rmSync(tar);
  }

  docker(...args: string[]): string {
    return execFileSync("docker", ["--host", this.url, ...args], { encoding: "utf8", stdio: "pipe" });
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Containers end with it, with live-restore, too. */
  async dispose(): Promise<void> {
    // One that would not start again can end nothing, and has said why.
    if (!this.#answers()) await this.start().catch((error: unknown) => console.error(String(error)));
    for (const id of this.docker("ps", "-q").split("\n").filter(Boolean)) this.docker("kill", id);
    await this.#end("SIGTERM");
    for (const place of mountsBelow(this.#dir)) execFileSync("umount", ["-l", place]);
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const daemon = this.#daemon;
    if (!daemon || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = once(daemon, "exit");
    daemon.kill(signal);
    await ended;
  }

  #answers(): boolean {
    if (!existsSync(join(this.#dir, "d.sock"))) return false;
    try {
      this.docker("version");
      return true;
    } catch {
      // Not yet: the socket of a killed engine is still there.
      return false;
    }
  }
}

function mountsBelow(dir: string): string[] {
  const places = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  return places.filter((place) => place.startsWith(`${dir}/`)).reverse();
}
