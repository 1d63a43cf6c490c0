/**
 * Stands in for the runner where a test needs one that misbehaves, or a look at the worker from inside. How it behaves is
 * written in `stub.json` in its working directory, because a worker's command line and environment are the engine's to set:
 *
 *   { "mode": "healthy" }                              serves the socket (also when there is no stub.json)
 *   { "mode": "dies", "exitCode": 7, "says": "…" }     prints and ends at once
 *   { "mode": "silent", "says": "…" }                  takes connections and never answers
 *   { "mode": "deaf" }                                 healthy, and does not end on SIGTERM
 *
 *   GET  /health          as the runner would
 *   GET  /look            what the worker sees of itself
 *   POST /run             { program, args } → { code, stdout, stderr }
 *   POST /exit?code=N     ends; 202
 *   POST /hog             takes memory until it is killed; 202
 */
import { execFile, spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createRawServer } from "node:net";
import { networkInterfaces } from "node:os";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: { socket: { type: "string" }, spool: { type: "string" }, "egress-socket": { type: "string" } },
});
const behaviour = existsSync("stub.json") ? JSON.parse(readFileSync("stub.json", "utf8")) : { mode: "healthy" };

if (behaviour.says) console.log(behaviour.says);
if (behaviour.mode === "dies") process.exit(behaviour.exitCode);
process.on("SIGTERM", () => {
  if (behaviour.mode !== "deaf") process.exit(0);
});
rmSync(options.socket, { force: true });

if (behaviour.mode === "silent") createRawServer((socket) => socket.resume()).listen(options.socket);
else createServer(answer).listen(options.socket);

async function answer(request, response) {
  const url = new URL(request.url, "http://runner");
  const say = (status, body) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  switch (`${request.method} ${url.pathname}`) {
    case "GET /health":
      return say(200, { ok: true, protocol: behaviour.protocol ?? 1, pid: process.pid, providers: {}, runs: [] });
    case "GET /look":
      return say(200, look());
    case "POST /run": {
      const { program, args } = JSON.parse(await bodyOf(request));
      return execFile(program, args, (error, stdout, stderr) => say(200, { code: error?.code ?? 0, stdout, stderr }));
    }
    case "POST /stray": {
      // A child that leaves the group and the session of its parent.
      const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1 << 30)"], {
        detached: true,
        stdio: "ignore",
      });
      return say(200, { pid: child.pid });
    }
    case "POST /exit":
      response.on("finish", () => process.exit(Number(url.searchParams.get("code"))));
      return say(202, {});
    case "POST /hog":
      response.on("finish", hog);
      return say(202, {});
    default:
      return say(404, {});
  }
}

function look() {
  const status = Object.fromEntries(
    readFileSync("/proc/self/status", "utf8")
      .split("\n")
      .map((line) => line.split(":\t"))
      .map(([name, value]) => [name, value?.trim()]),
  );
  return {
    uid: process.getuid(),
    gid: process.getgid(),
    groups: process.getgroups(),
    cwd: process.cwd(),
    options,
    env: process.env,
    status,
    mounts: readFileSync("/proc/self/mounts", "utf8"),
    init: readFileSync("/proc/1/comm", "utf8").trim(),
    interfaces: Object.keys(networkInterfaces()),
    dockerSocket: existsSync("/var/run/docker.sock") || existsSync("/run/docker.sock"),
  };
}

function hog() {
  const kept = [];
  for (;;) kept.push(Buffer.alloc(8 * 1024 * 1024, 1));
}

async function bodyOf(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}
