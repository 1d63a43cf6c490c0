/**
 * A real toolkit for tests: Node, the bundled runner of this checkout, and the real CLIs. The CLIs are downloaded once
 * into the cache folder of the operating system and shared by all checkouts; a toolkit of this checkout links to them.
 */
import { createHash } from "node:crypto";
import { cp, link, mkdir, readdir, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import os from "node:os";
import path from "node:path";
import { CLI_PACKAGES, installClis, toolkitReadiness } from "../../executor-host/toolkit/clis.ts";
import { prepareToolkit } from "../../executor-host/toolkit/toolkit.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const CACHE = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"), "gantry-test", "toolkit");

let ready: Promise<string> | undefined;

/** The toolkit's folder, made on first use; safe to be called by many test processes at once. */
export function ensureToolkit(): Promise<string> {
  ready ??= makeToolkit();
  return ready;
}

/** Puts real CLIs into a host's toolkit folder, as `gantry host toolkit install` leaves them, without the download. */
export async function giveClis(toolkit: string, clis: readonly string[]): Promise<void> {
  const from = await ensureToolkit();
  await mkdir(toolkit, { recursive: true });
  for (const cli of clis) await cp(path.join(from, cli), path.join(toolkit, cli), { recursive: true });
}

async function makeToolkit(): Promise<string> {
  const unlock = await lock(`gantry-test-toolkit:${CACHE}`);
  try {
    const clis = path.join(CACHE, "clis");
    const dir = path.join(CACHE, createHash("sha256").update(ROOT).digest("hex").slice(0, 16));
    await mkdir(clis, { recursive: true });
    await installClis({ dir: clis, providers: CLI_PACKAGES });
    await prepareToolkit({ dir });
    const readiness = await toolkitReadiness(dir);
    for (const provider of CLI_PACKAGES) {
      // Another test process may be running it right now: what is right is not touched.
      if (readiness[provider].readiness === "ready") continue;
      await rm(path.join(dir, provider), { recursive: true, force: true });
      await linkTree(path.join(clis, provider), path.join(dir, provider));
    }
    return dir;
  } finally {
    unlock();
  }
}

/** Hard links instead of copies: symbolic ones would lead nowhere inside a container. */
async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
    if (entry.isDirectory()) await linkTree(source, target);
    else if (entry.isFile()) await link(source, target);
  }
}

/**
 * A lock between processes that ends with its holder: a listening socket in Linux's abstract namespace. Whoever comes
 * later connects, and learns by the end of the connection that it can try again.
 */
async function lock(name: string): Promise<() => void> {
  const address = `\0${createHash("sha256").update(name).digest("hex")}`;
  for (;;) {
    const server = await tryListen(address);
    if (server) return server;
    await new Promise<void>((resolve) => {
      const waiting = connect(address);
      waiting.once("error", () => resolve());
      waiting.once("close", () => resolve());
      waiting.resume();
    });
  }
}

function tryListen(address: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const waiting = new Set<{ destroy: () => void }>();
    const server: Server = createServer((socket) => {
      waiting.add(socket);
      socket.on("error", () => socket.destroy()); // the one that waited has gone
    });
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen(address, () =>
      resolve(() => {
        server.close();
        for (const socket of waiting) socket.destroy();
      }),
    );
  });
}
