import { describe, expect, test } from "vitest";
import { lastWords, unframe } from "../../../executor-host/container/last-words.ts";
import { EXIT_UNSEEN } from "../../../executor-host/container/port.ts";
import { exitFromCode, exitFromNode } from "../../../executor-host/container/worker-exit.ts";

function frame(stream: 1 | 2, text: string): Buffer {
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

describe("last words", () => {
  test("frames of both streams become one text, also when the last is cut", () => {
    const log = Buffer.concat([frame(1, "büro\n"), frame(2, "oh no\n"), frame(1, "cut here").subarray(0, 11)]);
    expect(unframe(log)).toBe("büro\noh no\ncut");
    expect(unframe(Buffer.alloc(5))).toBe("");
  });

  test("the end is kept, bounded in lines and characters; silence is said", () => {
    const lines = Array.from({ length: 100 }, (_, index) => `line ${index}`).join("\n");
    expect(lastWords(`${lines}\n\n`).split("\n")).toEqual(lines.split("\n").slice(-20));
    expect(lastWords("x".repeat(10_000))).toHaveLength(1_800);
    expect(lastWords("\n ")).toBe("(it printed nothing)");
  });
});

describe("exits", () => {
  test("a signal is named, and memory is the reason only for who was killed", () => {
    expect(exitFromCode(0, false)).toEqual({ exitCode: 0, outOfMemory: false });
    expect(exitFromCode(137, true)).toEqual({ exitCode: 137, outOfMemory: true, signal: "SIGKILL" });
    expect(exitFromCode(143, true)).toEqual({ exitCode: 143, outOfMemory: false, signal: "SIGTERM" });
    expect(exitFromCode(1, true)).toEqual({ exitCode: 1, outOfMemory: false });
  });

  test("Node's two ways become one", () => {
    expect(exitFromNode(3, null)).toEqual({ exitCode: 3, outOfMemory: false });
    expect(exitFromNode(null, "SIGTERM")).toEqual({ exitCode: 143, outOfMemory: false, signal: "SIGTERM" });
    expect(exitFromNode(null, null)).toEqual({ exitCode: EXIT_UNSEEN, outOfMemory: false });
  });
});
