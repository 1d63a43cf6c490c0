/**
 * What Gantry adds to a real agent: from a prompt to the first token at the page, on a warm worker, against the bare Claude
 * Code CLI on the same machine, with the same prompt and model server; and what a worker's memory is beside the CLI's.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { WebSocket } from "ws";
import { claudeBinary } from "../../executor-host/runner/adapters/claude-code/binary.ts";
import { claudeEnvironment } from "../../executor-host/runner/adapters/claude-code/environment.ts";
import { ensureBaseImage } from "../support/docker-image.ts";
import { Gantry } from "../support/gantry.ts";
import { startModelServer } from "../support/model-server/server.ts";
import { within } from "../support/scripted-host.ts";
import { giveClis } from "../support/toolkit.ts";
import { judged, type Result } from "./result.ts";
import { median, middleHalf, sum } from "./statistics.ts";

const PROMPT = "SCN:say:hello:world";
const HANGS = "SCN:hang";
const QUIET_MS = 300;
const ADDED_MS = 50;
const MiB = 1024 * 1024;

export async function measureAgentStart(rounds: number): Promise<Result[]> {
  const image = await ensureBaseImage();
  const model = await startModelServer();
  const folder = mkdtempSync(join(tmpdir(), "ga-"));
  const gantry = new Gantry({ GANTRY_IMAGE: image, ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: "fake" });
  const toolkit = join(gantry.stateDir, "host", "toolkit");
  // One copy for both sides, so that the machine's cache of it is the same.
  await giveClis(toolkit, ["claude-code"]);
  const bare = new BareClaude(claudeBinary(toolkit), folder, model.url);
  try {
    await gantry.start();
    const page = await Page.open(gantry);
    const [ofGantry, ofBare]: [number[], number[]] = [[], []];
    for (let round = -1; round < rounds; round++) {
      const sides = [
        async () => ofGantry.push(await page.firstToken()),
        async () => ofBare.push(await bare.firstToken()),
      ];
      // Each goes first every other time. The first round makes the worker and both conversations.
      for (const measure of round % 2 ? sides : sides.reverse()) {
        await measure();
        await delay(QUIET_MS);
      }
    }
    for (const times of [ofGantry, ofBare]) times.shift();
    const [here, there] = [await page.memory(), await bare.memory()];
    page.close();
    return results(ofGantry, ofBare, here, there);
  } finally {
    await gantry.dispose();
    await model.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function results(ofGantry: number[], ofBare: number[], here: number, there: number): Result[] {
  const added = ofGantry.map((time, round) => time - (ofBare[round] ?? 0));
  return [
    judged(
      {
        name: "time to first token added to claude-code, warm worker, p50",
        unit: "ms",
        value: median(ofGantry) - median(ofBare),
        trials: ofGantry.length,
        how: `median at the page ${median(ofGantry).toFixed(0)} ms (middle half ${middleHalf(ofGantry)}), of the bare CLI ${median(ofBare).toFixed(0)} ms (${middleHalf(ofBare)}); ${ofGantry.length} prompts each, in turns, one conversation each that goes on, same binary, model server and model; from the send to the first text delta; added round by round: ${middleHalf(added)}`,
      },
      { atMost: ADDED_MS },
    ),
    judged({
      name: "memory of a claude-code worker while its model answers",
      unit: "MiB",
      value: here / MiB,
      floor: there / MiB,
      trials: 1,
      how: `proportional set size of everything in the container; the floor is the bare CLI and its children in the same moment of a run; added: ${((here - there) / MiB).toFixed(0)} MiB`,
    }),
  ];
}

/** The portal's side of one session. */
class Page {
  readonly #gantry: Gantry;
  readonly #socket: WebSocket;
  readonly #sessionId: string;

  private constructor(gantry: Gantry, socket: WebSocket, sessionId: string) {
    this.#gantry = gantry;
    this.#socket = socket;
    this.#sessionId = sessionId;
  }

  static async open(gantry: Gantry): Promise<Page> {
    const body = { title: "bench", provider: "claude-code" };
    const { session } = await gantry.json<{ session: { id: string } }>("/api/sessions", { method: "POST", body });
    const { url, serviceToken } = gantry.started;
    const socket = new WebSocket(`${url.replace(/^http/, "ws")}/api/sessions/${session.id}/socket?cursor=0`, {
      headers: { authorization: `Bearer ${serviceToken}` },
    });
    await once(socket, "open");
    return new Page(gantry, socket, session.id);
  }

  /** Milliseconds from the send to the first text of the answer; resolves when the run has finished. */
  async firstToken(): Promise<number> {
    const first = this.#heard('"type":"text-delta"');
    const finished = this.#heard('"type":"run.finished"');
    const began = performance.now();
    this.#send(PROMPT);
    const took = (await first) - began;
    await finished;
    return took;
  }

  /** Bytes of everything in the worker while the model hangs in the middle of an answer. */
  async memory(): Promise<number> {
    const first = this.#heard('"type":"text-delta"');
    this.#send(HANGS);
    await first;
    await delay(1_000);
    const [container = ""] = this.#gantry.containers();
    const lines = execFileSync("docker", ["top", container, "-eo", "pid"], { encoding: "utf8" }).trim().split("\n");
    const bytes = sum(lines.slice(1).map((line) => proportionalBytes(Number(line))));
    const finished = this.#heard('"type":"run.finished"');
    const { view } = await this.#gantry.json<{ view: { runs: { id: string; state: string }[] } }>(
      `/api/sessions/${this.#sessionId}`,
    );
    const run = view.runs.find(({ state }) => state !== "finished");
    await this.#gantry.json(`/api/runs/${run?.id}/stop`, { method: "POST", body: {} });
    await finished;
    return bytes;
  }

  close(): void {
    this.#socket.close();
  }

  #send(text: string): void {
    this.#socket.send(JSON.stringify({ type: "prompt", id: randomUUID(), prompt: { text } }));
  }

  /** The moment at which a frame with these words came. */
  #heard(words: string): Promise<number> {
    const heard = new Promise<number>((resolve) => {
      const look = (data: unknown) => {
        if (!String(data).includes(words)) return;
        this.#socket.off("message", look);
        resolve(performance.now());
      };
      this.#socket.on("message", look);
    });
    return within(heard, () => words, 60_000);
  }
}

/** The CLI as a person would run it in a script, going on with its own conversation. */
class BareClaude {
  readonly #binary: string;
  readonly #cwd: string;
  readonly #env: Record<string, string>;
  #begun = false;

  constructor(binary: string, folder: string, providerUrl: string) {
    this.#binary = binary;
    this.#cwd = join(folder, "workspace");
    const configDir = join(folder, "config");
    for (const dir of [this.#cwd, configDir]) mkdirSync(dir);
    this.#env = claudeEnvironment({ PATH: process.env.PATH ?? "", HOME: folder }, { configDir, providerUrl });
  }

  async firstToken(): Promise<number> {
    const began = performance.now();
    const { child, first } = this.#start(PROMPT);
    const exited = once(child, "exit");
    const took = (await first) - began;
    await exited;
    return took;
  }

  async memory(): Promise<number> {
    const { child, first } = this.#start(HANGS);
    await first;
    await delay(1_000);
    const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").split(" ").filter(Boolean);
    const bytes = sum([child.pid ?? 0, ...children.map(Number)].map(proportionalBytes));
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    return bytes;
  }

  #start(prompt: string): { child: ChildProcess; first: Promise<number> } {
    const format = ["--output-format", "stream-json", "--include-partial-messages", "--verbose"];
    const more = ["--model", "sonnet", "--dangerously-skip-permissions", ...(this.#begun ? ["--continue"] : [])];
    this.#begun = true;
    const child = spawn(this.#binary, ["-p", prompt, ...format, ...more], {
      cwd: this.#cwd,
      env: this.#env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const heard = new Promise<number>((resolve) => {
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
        if (line.includes('"text_delta"')) resolve(performance.now());
      });
    });
    return { child, first: within(heard, () => "the bare CLI's first word", 60_000) };
  }
}

/** A process's memory, with what it shares counted in parts: proc_pid_smaps(5), Pss. */
function proportionalBytes(pid: number): number {
  const [, kib = "0"] = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")) ?? [];
  return Number(kib) * 1024;
}
