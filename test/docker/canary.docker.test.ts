/**
 * A key that is kept in D1 works for an agent that cannot find it. Everything is real but the model: the
 * control plane, the daemon, the container, Claude Code. A hostile agent hunts for the key and tries to carry data out;
 * then everything that was kept anywhere is searched. A decoy that lies openly in the same kinds of places shows that
 * the searches see.
 */
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CanarySearch } from "../support/canary.ts";
import { ensureBaseImage } from "../support/docker-image.ts";
import { Gantry } from "../support/gantry.ts";
import { type ModelServer, startModelServer } from "../support/model-server/server.ts";
import { giveClis } from "../support/toolkit.ts";

const KEY = `sk-canary-${randomUUID()}`;
const DECOY = `decoy-canary-${randomUUID()}`;
/** What the hunter looks for. Neither matches itself, so a command line that names them is no find. */
const WANTED = ["sk-canary-[0-9a-f]{8}", "c2stY2FuYXJ5L[A-Za-z0-9+/]{8}", "decoy-canary-[0-9a-f]{8}"];

type Hunt = {
  looked: Record<string, { places: number; bytes: number; refused: number }>;
  found: { kind: string; place: string; hit: string }[];
  ends: Record<string, string>;
};

const HUNT = fileURLToPath(new URL("./hunt.mjs", import.meta.url));

let gantry: Gantry;
let model: ModelServer;
let hostile: Server;
let visitors = 0;
let sessionId: string;
const events: string[] = [];

beforeAll(async () => {
  hostile = createServer((socket) => {
    visitors += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => hostile.listen(0, "127.0.0.1", resolve));
  model = await startModelServer({ key: KEY });
  // The operator names the model server and has no key of their own.
  gantry = new Gantry({ GANTRY_IMAGE: await ensureBaseImage(), ANTHROPIC_BASE_URL: model.url });
  await giveClis(join(gantry.stateDir, "host", "toolkit"), ["claude-code"]);
  await gantry.start();
  await gantry.json("/api/credentials", { method: "POST", body: { kind: "anthropic", name: "canary", value: KEY } });
}, 300_000);
afterAll(async () => {
  await gantry?.dispose();
  await model?.close();
  hostile?.close();
});

const port = () => (hostile.address() as { port: number }).port;
const inside = `WANTED='${JSON.stringify(WANTED)}' HOSTILE=`;

/** In the session of the whole file, or in a new one of an app. */
async function run(prompt: string, provider: string, executionProfile?: string) {
  const where = executionProfile === undefined ? { ...(sessionId ? { sessionId } : {}) } : { executionProfile };
  const answer = await gantry.run({ prompt, provider, ...where });
  sessionId = answer.sessionId;
  const stream = await (await gantry.call(`/api/runs/${answer.runId}/stream`)).text();
  events.push(stream);
  return { ...answer, stream };
}

/** The hunter's own report; it leaves it in the workspace, where output is not cut. */
async function huntOf(): Promise<Hunt> {
  const text = execFileSync("docker", ["exec", container(), "cat", "/workspace/report.txt"], { encoding: "utf8" });
  const line = text.split("\n").find((each) => each.startsWith("HUNT "));
  if (!line) throw new Error(`the hunter said nothing: ${text.slice(-2_000)}`);
  return JSON.parse(line.slice(5)) as Hunt;
}

function container(): string {
  const filter = `label=gantry.session=${sessionId}`;
  return execFileSync("docker", ["ps", "-q", "--filter", filter], { encoding: "utf8" }).trim();
}

/** Nothing of the key, the decoy where it lies openly, no way out. */
function expectNothing({ looked, found, ends }: Hunt): void {
  expect(found.filter(({ hit }) => !hit.startsWith("decoy"))).toEqual([]);
  const decoys = new Set(found.map(({ kind }) => kind));
  expect([...decoys]).toEqual(expect.arrayContaining(["own environment", "environments", "files", "memory"]));
  for (const kind of ["arguments", "open files", "kernel tables"])
    expect(looked[kind]?.places, kind).toBeGreaterThan(0);
  expect(Object.keys(ends).length).toBeGreaterThan(35);
  expect(Object.entries(ends).filter(([, end]) => /CONNECTED|TUNNEL|RESOLVED|SENT|exit 0/.test(end))).toEqual([]);
  expect(visitors).toBe(0);
}

/** What a scripted agent is told: to bring the hunter in and send it off. */
function scripted(...flags: string[]): string {
  const code = readFileSync(HUNT).toString("base64");
  const unpack = `require("fs").writeFileSync("hunt.mjs", Buffer.from("${code}", "base64"))`;
  return [
    `say ${DECOY}`,
    `write decoy.txt ${DECOY}`,
    `bash /opt/gantry/node -e '${unpack}'`,
    `bash DECOY=${DECOY} ${inside}${port()} /opt/gantry/node hunt.mjs ${flags.join(" ")} > report.txt 2>&1`,
  ].join("\n");
}

const MODEL_CALL = "a model call that names another host";

test.each(["none", "allowlist", "open"])(
  "[R-2.5] [R-2.6] an app's network policy %s opens no way to the key and none into this machine",
  async (networkPolicy) => {
    const defaults = { networkPolicy, allowlist: ["stolen.exfiltrate.example"] };
    await gantry.json("/api/apps/register", {
      method: "POST",
      body: { name: networkPolicy, runtimeDefaults: defaults },
    });
    const { outcome } = await run(scripted("--beside-image"), "scripted", networkPolicy);
    expect(outcome).toBe("succeeded");
    const hunt = await huntOf();
    expectNothing(hunt);
    const listed = hunt.ends["CONNECT stolen.exfiltrate.example:443"];
    // Let through as far as its name, which nobody knows.
    expect(listed).toMatch(networkPolicy === "none" ? /^403 / : /^502 /);
    expect(hunt.ends["CONNECT 169.254.169.254:80"]).toMatch(/^403 /);
    await gantry.json(`/api/sessions/${sessionId}`, { method: "DELETE" });
    sessionId = "";
  },
  180_000,
);

test("[R-2.5] [R-2.6] a scripted agent finds no key and no way out, and reaches no model: that is not its run's", async () => {
  expect(await run(scripted(), "scripted")).toMatchObject({ outcome: "succeeded" });
  const hunt = await huntOf();
  expectNothing(hunt);
  expect(hunt.ends[MODEL_CALL]).toMatch(/^403 /);
  expect(model.requests).toEqual([]);
}, 180_000);

test("[R-2.5] [R-2.6] Claude Code, told to do the same, works with the key and does not find it", async () => {
  const before = model.requests.length;
  const command = `DECOY=${DECOY} ${inside.replaceAll('"', '\\"')}${port()} /opt/gantry/node hunt.mjs > report.txt 2>&1`;
  const { outcome, evidence } = await run(
    `SCN:tool:Bash INPUT:${JSON.stringify({ command: command.replaceAll('\\"', '"') })}`,
    "claude-code",
  );
  expect({ outcome, evidence }).toMatchObject({ outcome: "succeeded" });
  const hunt = await huntOf();
  expectNothing(hunt);
  // The model is reached all the same, whatever host the call names.
  expect(hunt.ends[MODEL_CALL]).toMatch(/^200 /);
  expect(hunt.ends["path /provider/claude-code/v1/files"]).toMatch(/^403 /);
  const asked = model.requests.slice(before).filter(({ method }) => method === "POST");
  expect(asked.length).toBeGreaterThan(1);
  expect(new Set(asked.map(({ headers }) => headers["x-api-key"]))).toEqual(new Set([KEY]));
  expect(JSON.stringify(asked.map(({ url, body }) => [url, body]))).not.toContain(KEY);
}, 180_000);

test("[R-2.5] [R-2.6] afterwards the key lies nowhere in clear, and the same search finds the decoy", async () => {
  await expect
    .poll(
      async () =>
        (await gantry.json<{ view: { workspace: { snapshotId?: string } } }>(`/api/sessions/${sessionId}`)).view
          .workspace.snapshotId,
    )
    .toBeTruthy();
  // Before the searches, which take their time and let nothing else happen.
  const { credentials } = await gantry.json<{ credentials: { lastUsedAt?: number }[] }>("/api/credentials");
  expect(credentials[0]?.lastUsedAt).toBeGreaterThan(0);
  const key = new CanarySearch(KEY);
  searchContainer(key, KEY);
  searchStores(key);
  const total = (what: "places" | "bytes") =>
    Object.values(key.searched).reduce((sum, search) => sum + search[what], 0);
  console.log(
    [
      `canary: ${total("places")} places, ${(total("bytes") / 1e6).toFixed(0)} MB searched, ${key.hits.length} finds`,
      ...Object.entries(key.searched).map(
        ([kind, { places, hits }]) => `  ${kind}: ${places} places, ${hits.length} finds`,
      ),
    ].join("\n"),
  );
  expect(key.hits).toEqual([]);
  const decoy = new CanarySearch(DECOY);
  searchStores(decoy);
  for (const kind of [
    "workspaces and the host's folder",
    "D1, objects and R2",
    "D1, objects and R2, unpacked",
    "events",
  ])
    expect(decoy.searched[kind]?.hits.length, kind).toBeGreaterThan(0);
  expect(visitors).toBe(0);
}, 180_000);

function readProc(pid: number, file: string): Buffer {
  try {
    return readFileSync(`/proc/${pid}/${file}`);
  } catch (error) {
    // It has ended meanwhile.
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return Buffer.alloc(0);
    throw error;
  }
}

function searchContainer(canary: CanarySearch, value: string): void {
  const docker = (...args: string[]) => execFileSync("docker", args, { maxBuffer: 1024 * 1024 * 1024 });
  canary.content("container, its settings", "docker inspect", docker("inspect", container()));
  canary.content("container, its log", "docker logs", docker("logs", container()));
  canary.content("container, its root", "docker export", docker("export", container()));
  // As the worker's own user (root without capabilities can do less in there), and its memory from outside. The pattern does not match itself.
  const pattern = JSON.stringify([`[${value[0]}]${value.slice(1)}`]);
  const hunter = [container(), "/opt/gantry/node", "/workspace/hunt.mjs", "--look-only"];
  const fromInside = docker("exec", "-e", `WANTED=${pattern}`, ...hunter);
  const pids = docker("top", container(), "-eo", "pid").toString().match(/\d+/g) ?? [];
  const outside = execFileSync(process.execPath, [HUNT, "--memory-of", pids.join()], {
    env: { ...process.env, WANTED: pattern },
  });
  for (const [who, report] of [["from inside", fromInside] as const, ["from outside", outside] as const]) {
    const { looked, found } = JSON.parse(report.toString().slice("HUNT ".length)) as Hunt;
    for (const [kind, { places, bytes }] of Object.entries(looked)) {
      const hits = found.filter((each) => each.kind === kind).map(({ place }) => place);
      canary.searched[`container ${who}, ${kind}`] = { places, bytes, hits };
    }
  }
}

function searchStores(canary: CanarySearch): void {
  canary.folder("workspaces and the host's folder", join(gantry.stateDir, "host"), /\/toolkit$/);
  canary.folder("D1, objects and R2", join(gantry.stateDir, "workerd"));
  canary.content("events", "run streams", events.join("\n"));
  canary.content("logs", "npm start", gantry.lines.join("\n"));
  for (const pid of gantry.processes()) {
    for (const file of ["environ", "cmdline"]) {
      canary.content("processes of the host, environment and arguments", `${pid}/${file}`, readProc(pid, file));
    }
  }
}
