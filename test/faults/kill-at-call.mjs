/**
 * Preloaded (`--import`) into a process and each of its threads: counts the calls that change the file system, and ends the
 * process with SIGKILL before the one that it is armed for. A write counts twice: nothing of it done, and half of it.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { getEnvironmentData, setEnvironmentData } from "node:worker_threads";

const KEY = "calls that change the file system";
const MOST = 100_000;
const CHANGING = [
  ...["openSync", "mkdirSync", "renameSync", "rmSync", "rmdirSync", "unlinkSync", "linkSync", "symlinkSync"],
  ...["chmodSync", "fchmodSync", "chownSync", "fchownSync", "lchownSync", "utimesSync", "futimesSync"],
];
const NAMES = [...CHANGING, "writeSync", "writeFileSync"];
/** How many were made since it was armed, before which one to end (0: none), and which they were. */
const { made, at, which } = getEnvironmentData(KEY) ?? {
  made: new Int32Array(new SharedArrayBuffer(4)),
  at: new Int32Array(new SharedArrayBuffer(4)),
  which: new Uint8Array(new SharedArrayBuffer(MOST)),
};
setEnvironmentData(KEY, { made, at, which });

/** Ends the process before the `call`th call from now on; 0: lets it be. */
export function arm(call) {
  Atomics.store(at, 0, call);
  Atomics.store(made, 0, 0);
}

/** The names of the calls since [arm], in order. */
export function calls() {
  return Array.from(which.subarray(0, Atomics.load(made, 0)), (number) => NAMES[number]);
}

function isTheOne(name) {
  const call = Atomics.add(made, 0, 1);
  which[call] = NAMES.indexOf(name);
  return call + 1 === Atomics.load(at, 0);
}

function end() {
  process.kill(process.pid, "SIGKILL");
}

const real = { ...fs };
const changes = (name, [, flags]) =>
  name !== "openSync" || (typeof flags === "number" && (flags & fs.constants.O_CREAT) !== 0);
for (const name of CHANGING) {
  fs[name] = (...args) => {
    if (changes(name, args) && isTheOne(name)) end();
    return real[name](...args);
  };
}
fs.writeSync = (fd, bytes, offset, length, position) => {
  if (isTheOne("writeSync")) end();
  if (isTheOne("writeSync")) {
    real.writeSync(fd, bytes, offset, length >> 1, position);
    end();
  }
  return real.writeSync(fd, bytes, offset, length, position);
};
fs.writeFileSync = (path, content, options) => {
  if (isTheOne("writeFileSync")) end();
  if (isTheOne("writeFileSync")) {
    real.writeFileSync(path, content.slice(0, content.length >> 1), options);
    end();
  }
  return real.writeFileSync(path, content, options);
};
syncBuiltinESMExports();
