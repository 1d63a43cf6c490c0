import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tryLock, withLock } from "../../../executor-host/local/lock-file.ts";
import { identify, lives } from "../../../executor-host/local/process-identity.ts";
import { openState } from "../../../executor-host/local/start-state.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gantry-state-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe("the state of npm start", () => {
  it("is for its owner only", () => {
    const state = openState(join(dir, "state"));
    state.save({ serviceToken: "t" });
    expect(mode(state.dir)).toBe("700");
    expect(mode(join(state.dir, "secrets.json"))).toBe("600");
    expect(mode(join(state.dir, "start.json"))).toBe("600");
    state.release();
  });

  it("keeps secrets, port and token from one start to the next", () => {
    const first = openState(dir);
    first.save({ port: 8787 });
    first.save({ serviceToken: "t" });
    first.release();
    const second = openState(dir);
    expect(second.secrets).toEqual(first.secrets);
    expect(second.record).toEqual({ port: 8787, serviceToken: "t" });
    expect(new Set(Object.values(second.secrets)).size).toBe(3);
    second.release();
  });

  it("refuses a second start on the same folder and names the first", () => {
    const first = openState(dir);
    expect(() => openState(dir)).toThrow(`process ${process.pid}`);
    first.release();
    openState(dir).release();
  });

  it("names the file that is damaged", () => {
    writeFileSync(join(dir, "secrets.json"), "{");
    expect(() => openState(dir)).toThrow("secrets.json");
  });
});

describe("a lock", () => {
  it("of a process that was killed is taken over", async () => {
    const path = join(dir, "lock");
    const child = spawn("sleep", ["60"]);
    const identity = identify(child.pid ?? 0);
    writeFileSync(path, JSON.stringify(identity));
    expect(tryLock(path)).toEqual({ heldBy: identity });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    expect(tryLock(path)).toHaveProperty("release");
  });

  it("whose process id is used again by another process is taken over", () => {
    const path = join(dir, "lock");
    writeFileSync(path, JSON.stringify({ pid: process.pid, began: "another time" }));
    expect(tryLock(path)).toHaveProperty("release");
  });

  it("lets one in after the other", async () => {
    const path = join(dir, "lock");
    let inside = 0;
    let most = 0;
    const enter = () =>
      withLock(path, 5_000, async () => {
        most = Math.max(most, ++inside);
        await Promise.resolve();
        inside--;
      });
    await Promise.all([enter(), enter(), enter()]);
    expect(most).toBe(1);
  });

  it("tells a living process from a dead one", () => {
    const self = identify(process.pid);
    expect(self && lives(self)).toBe(true);
    expect(identify(2 ** 22 + 1)).toBeUndefined();
  });
});
