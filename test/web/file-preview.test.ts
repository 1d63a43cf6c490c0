/** What a file is shown as. */
import { expect, test } from "vitest";
import type { FileEntry } from "#protocol/http.ts";
import { childrenOf, textOf } from "../../web/files/file-queries.ts";

const bytes = (...parts: (string | number[])[]) =>
  new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part as string))));

test.each([
  ["empty", bytes(), ""],
  ["of all kinds of letters", bytes("größer\n日本 🙂\r\n"), "größer\n日本 🙂\r\n"],
  ["with the letter that stands for what is no text", bytes("a \ufffd b"), "a \ufffd b"],
])("text %s is text", (_, content, text) => {
  expect(textOf(content)).toEqual({ kind: "text", text });
});

test.each([
  ["with a NUL", bytes("a\0b")],
  ["that is no UTF-8", bytes("caf", [0xe9])],
  ["that ends within a letter", bytes("a", [0xe2, 0x82])],
  ["in UTF-16", bytes([0xff, 0xfe, 0x61, 0x00])],
  ["with half of a pair", bytes([0xed, 0xa0, 0x80])],
])("a file %s is binary", (_, content) => {
  expect(textOf(content)).toEqual({ kind: "binary" });
});

test("a folder has its own entries, folders first, whatever lies below or beside", () => {
  const entry = (path: string, kind: FileEntry["kind"] = "file") =>
    ({ path, name: path.slice(path.lastIndexOf("/") + 1), kind, size: 1 }) as FileEntry;
  const all = [entry("a", "directory"), entry("a/b"), entry("a/c", "directory"), entry("a/c/d"), entry("ab")];
  expect(childrenOf(all, "").map(({ path }) => path)).toEqual(["a", "ab"]);
  expect(childrenOf(all, "a").map(({ path }) => path)).toEqual(["a/c", "a/b"]);
});
