/** Which shared libraries programs need, as this machine's own loader finds them (ld.so(8), ldd(1)). */
import { execFile } from "node:child_process";
import { open } from "node:fs/promises";

const lddTimeoutMs = 30_000;
const maxOutputBytes = 32 * 1024 * 1024;
const elf = Buffer.from("\x7fELF", "latin1");

/**
 * The libraries and the loader of these files and of whatever those need. Files that are no programs, or need nothing,
 * are passed over.
 * @throws Error when ldd is missing or says nothing
 */
export async function librariesOf(files: readonly string[]): Promise<string[]> {
  const binaries: string[] = [];
  for (const file of files) if (await isElf(file)) binaries.push(file);
  if (binaries.length === 0) return [];
  const found = new Set<string>();
  for (const line of (await ldd(binaries)).split("\n")) {
    // `name => /path (address)`, or the loader: `/path (address)`. The kernel's own (vdso) has no path.
    const path = /^\s+(?:\S+ => )?(\/.*) \(0x[0-9a-f]+\)$/.exec(line)?.[1];
    if (path !== undefined) found.add(path);
  }
  if (found.size === 0) throw new Error("ldd names no library for any program of this machine");
  return [...found];
}

function ldd(files: readonly string[]): Promise<string> {
  // What the daemon's environment would put first is not part of the system.
  const { LD_LIBRARY_PATH: _path, LD_PRELOAD: _preload, ...env } = process.env;
  const options = { env: { ...env, LC_ALL: "C" }, timeout: lddTimeoutMs, maxBuffer: maxOutputBytes };
  return new Promise((resolve, reject) => {
    execFile("ldd", files, options, (error, stdout) => {
      // It ends with 1 as soon as one file is statically linked; the others are answered all the same.
      if (error && error.code !== 1) reject(new Error(`ldd does not work here: ${error.message.slice(0, 200)}`));
      else resolve(stdout);
    });
  });
}

async function isElf(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(elf.length), 0, elf.length, 0);
    return bytesRead === elf.length && buffer.equals(elf);
  } finally {
    await file.close();
  }
}
