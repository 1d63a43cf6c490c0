/**
 * Unix socket addresses are short: 108 bytes on Linux, 104 on macOS, with the closing NUL (unix(7), sys/un.h). A longer
 * path fails in ways that name neither the path nor the limit, so it is checked where the folder is chosen.
 */
import { lstat } from "node:fs/promises";
import { join } from "node:path";

export const RUNNER_SOCKET = "runner.sock";
export const PROXY_SOCKET = "proxy.sock";

const maxBytes = process.platform === "linux" ? 107 : 103;

/**
 * Gives `<dir>/<name>`.
 * @throws Error when that is too long for a socket address
 */
export function socketPath(dir: string, name: typeof RUNNER_SOCKET | typeof PROXY_SOCKET): string {
  const path = join(dir, name);
  const bytes = Buffer.byteLength(path);
  if (bytes <= maxBytes) return path;
  throw new Error(
    `${path} is too long for a Unix socket: ${bytes} bytes, at most ${maxBytes}. Give the host a shorter state folder.`,
  );
}

/**
 * True when a socket lies at `path`. The worker can write to its run folder, and could leave a link there that leads the
 * daemon to another service's socket: what is not itself a socket is not connected to.
 */
export async function isSocket(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSocket();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
