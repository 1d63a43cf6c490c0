/**
 * A tar writer as small as a base image needs it: POSIX ustar with a pax header for what ustar cannot hold
 * (POSIX.1-2017, "pax Interchange Format"). Everything belongs to root and has one date, so that equal files make an
 * equal stream, and nothing of this machine's users gets in.
 */
import { open } from "node:fs/promises";

export type TarEntry = { path: string } & (
  | { type: "directory"; mode: number }
  | { type: "symlink"; target: string }
  /** Another name of a file that came earlier in the list. */
  | { type: "link"; target: string }
  | { type: "file"; mode: number; source: string }
  | { type: "file"; mode: number; content: string }
);

const blockBytes = 512;
const readBytes = 1024 * 1024;
/** ustar's fields for a name and for a link's target. */
const nameBytes = 100;
const typeFlag = { file: "0", link: "1", symlink: "2", directory: "5", pax: "x" } as const;

/** @param entries absolute paths, parents first. @throws Error when a file cannot be read or changes while it is read */
export async function* tarStream(entries: Iterable<TarEntry>): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    if (entry.type !== "file") yield header(entry, 0);
    else if ("content" in entry) {
      const content = Buffer.from(entry.content);
      yield Buffer.concat([header(entry, content.length), content, padding(content.length)]);
    } else yield* file(entry, entry.source);
  }
  // The end of an archive: two empty blocks.
  yield Buffer.alloc(2 * blockBytes);
}

async function* file(entry: TarEntry, source: string): AsyncGenerator<Buffer> {
  const handle = await open(source);
  try {
    const { size } = await handle.stat();
    yield header(entry, size);
    for (let left = size; left > 0; ) {
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(Math.min(left, readBytes)));
      if (bytesRead === 0) throw new Error(`${source} became shorter while it was read`);
      left -= bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
    yield padding(size);
  } finally {
    await handle.close();
  }
}

function padding(bytes: number): Buffer {
  return Buffer.alloc((blockBytes - (bytes % blockBytes)) % blockBytes);
}

function header(entry: TarEntry, size: number): Buffer {
  const name = entry.path.replace(/^\/+/, "") + (entry.type === "directory" ? "/" : "");
  // A hard link names an entry of the archive; a symbolic link says what it always said.
  const target = entry.type === "link" ? entry.target.replace(/^\/+/, "") : "target" in entry ? entry.target : "";
  const mode = "mode" in entry ? entry.mode : 0o777;
  const records = [
    ...(Buffer.byteLength(name) > nameBytes ? [record("path", name)] : []),
    ...(Buffer.byteLength(target) > nameBytes ? [record("linkpath", target)] : []),
  ];
  const block = headerBlock(name, typeFlag[entry.type], mode, size, target);
  if (records.length === 0) return block;
  const pax = Buffer.concat(records);
  return Buffer.concat([headerBlock("pax", typeFlag.pax, 0o644, pax.length, ""), pax, padding(pax.length), block]);
}

function headerBlock(name: string, flag: string, mode: number, size: number, target: string): Buffer {
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, at: number, width: number) =>
    block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, "latin1");
  Buffer.from(name).copy(block, 0, 0, nameBytes);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  block.write(" ".repeat(8), 148, "latin1");
  block.write(flag, 156, "latin1");
  Buffer.from(target).copy(block, 157, 0, nameBytes);
  block.write("ustar\x0000root", 257, "latin1");
  block.write("root", 297, "latin1");
  // The sum over the block with spaces in the sum's own place.
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function record(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return Buffer.from(`${length} ${key}=${value}\n`);
}
