/**
 * Whether an installed CLI really runs: it is asked for its version, once for each file and again while it is broken. By
 * a user without rights where the daemon is root, with no key and nothing of the daemon's environment.
 */
import { spawn } from "node:child_process";
import { chown, mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { workerUser } from "../container/container-spec.ts";

/** A cold start of the largest one took 32 s on a busy machine of two processors; one that is later is slow, not broken. */
const PATIENCE_MS = 60_000;

/** @returns what is wrong, as the end of a sentence; undefined when it ended with 0, or not in time */
export async function whyBroken(binary: string): Promise<string | undefined> {
  const { uid, gid } = workerUser();
  const home = await mkdtemp(join(tmpdir(), "gantry-cli-"));
  // Handed over open: the state folder is closed to that user.
  const file = await open(binary, "r");
  try {
    await chown(home, uid, gid);
    return await new Promise((resolve) => {
      const child = spawn("/proc/self/fd/3", ["--version"], {
        ...{ uid, gid, cwd: home, timeout: PATIENCE_MS, killSignal: "SIGKILL" },
        env: { HOME: home, TMPDIR: home, PATH: "/usr/local/bin:/usr/bin:/bin" },
        stdio: ["ignore", "ignore", "pipe", file.fd],
      });
      let last = "";
      child.stderr?.setEncoding("utf8").on("data", (text: string) => {
        last = (last + text).slice(-2_000);
      });
      child.once("error", ({ message }) => resolve(`could not be started (${message.slice(0, 200)})`));
      child.once("close", (code, signal) => {
        const words = last.trim().split("\n").at(-1)?.slice(0, 200);
        if (code === 0 || child.killed) resolve(undefined);
        else resolve(`ended with ${code ?? signal} when asked for its version${words ? ` (${words})` : ""}`);
      });
    });
  } finally {
    await file.close();
    await rm(home, { recursive: true, force: true });
  }
}

type Known = { file: string; reason?: string | undefined; trying: boolean };

/** For the daemon, which waits for no CLI: what is known now, and word when that changes. */
export class CliHealth {
  readonly #changed: () => void;
  readonly #known = new Map<string, Known>();

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Undefined: it works, or nobody knows yet. */
  reason = async (binary: string): Promise<string | undefined> => {
    const file = await identityOf(binary);
    // It is being installed anew.
    if (file === undefined) return undefined;
    const known = this.#known.get(binary);
    if (known?.file === file && (known.trying || known.reason === undefined)) return known.reason;
    const next: Known = { file, trying: true, reason: known?.file === file ? known.reason : undefined };
    this.#known.set(binary, next);
    void this.#try(binary, next);
    return next.reason;
  };

  async #try(binary: string, known: Known): Promise<void> {
    const before = known.reason;
    try {
      known.reason = await whyBroken(binary);
    } catch (error) {
      known.reason = `could not be tried (${error instanceof Error ? error.message.slice(0, 200) : "unknown"})`;
    }
    known.trying = false;
    if (known.reason !== before) this.#changed();
  }
}

async function identityOf(binary: string): Promise<string | undefined> {
  try {
    const { ino, mtimeMs, size } = await stat(binary);
    return `${ino} ${mtimeMs} ${size}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
