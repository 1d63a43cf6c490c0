/** SIGKILL of the process that syncs or restores, at each of its steps. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import type { RestoreInput } from "../../executor-host/workspace/port.ts";
import { finishInterruptedRestore } from "../../executor-host/workspace/restore-swap.ts";
import { describeTree, type Fixture, fixture } from "../executor-host/workspace/fixture.ts";
import type { Random } from "../fuzz/random.ts";
import type { Fault, Trial } from "./fault.ts";
import { dangling, differences } from "./workspace-audit.ts";
import { edit } from "./workspace-edits.ts";

const CHILD = fileURLToPath(new URL("./workspace-child.mjs", import.meta.url));
const STEPS = [
  ...["directories", "files", "between-packs", "links", "flush", "modes", "journal"],
  ...["move-old", "move-new", "current", "journal-gone", "remove-old"],
];
/** Where in a request the process ends: the store has not done it, has done it, or has answered it. */
const MOMENTS = ["asked", "done", "answered"] as const;
/** What a sync with edits asks: what is missing, a pack, the commit. */
const REQUESTS = 3;

export const workspaceKilled: Fault = {
  name: "workspace-killed",
  how: `SIGKILL of a real process that restores, before each of its ${STEPS.length} steps in turn, and of one that syncs, at each of its requests (before the store did it, after it, after the answer): the tree is the old one or the new one, a sync's own tree is never touched, no snapshot points to what is not there, and the next process does it; recovery is that process`,
  trials: { long: 2 * (STEPS.length + REQUESTS * MOMENTS.length), short: 2 },
  async open(form) {
    const all = [
      ...STEPS.map((step) => ({ step })),
      ...Array.from({ length: REQUESTS }, (_, request) => MOMENTS.map((moment) => ({ request, moment }))).flat(),
    ];
    return {
      async trial(random, index) {
        const point = form === "short" ? random.pick(all) : all[index % all.length]!;
        const stage = await Stage.open(random);
        try {
          return "step" in point ? await stage.restore(random, point.step) : await stage.sync(random, point);
        } finally {
          stage.dispose();
        }
      },
      async dispose() {},
    };
  },
};

class Stage {
  readonly at: Fixture;
  readonly #server: Server;
  readonly #url: string;
  onRequest: ((n: number, moment: (typeof MOMENTS)[number]) => void) | undefined;

  private constructor(at: Fixture, server: Server) {
    this.at = at;
    this.#server = server;
    this.#url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/store`;
  }

  static async open(random: Random): Promise<Stage> {
    const at = fixture();
    edit(random, at.root, 60);
    let seen = 0;
    const server = createServer(async (request, response) => {
      const n = seen++;
      const body: Buffer[] = [];
      for await (const part of request) body.push(part as Buffer);
      stage.onRequest?.(n, "asked");
      const { method = "GET", url = "" } = request;
      const headers = request.headers as Record<string, string>;
      const init = { method, headers, ...(method === "GET" ? {} : { body: Buffer.concat(body) }) };
      const answer = await at.peer.fetch(`http://edge${url}`, init);
      stage.onRequest?.(n, "done");
      await send(response, answer);
      stage.onRequest?.(n, "answered");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const stage = new Stage(at, server);
    return stage;
  }

  async restore(random: Random, step: string): Promise<Trial> {
    const { at } = this;
    const { snapshotId } = await this.#run("sync", at.input).ended;
    const wanted = describeTree(at.root);
    const there = at.elsewhere(snapshotId);
    // What is there before is another state of the same session.
    await this.#run("restore", there).ended;
    edit(random, there.root, 20);
    const old = describeTree(there.root);
    const killed = this.#run("restore", there, step);
    const end = await killed.ended.catch(String);
    const violations = end === "SIGKILL" ? [] : [`it ended with ${JSON.stringify(end)} before ${step}`];
    finishInterruptedRestore(there);
    const found = describeTree(there.root);
    const isOld = differences("", found, old).length === 0;
    if (!isOld) violations.push(...differences(`after ${step}`, found, wanted));
    const began = performance.now();
    await this.#run("restore", there).ended;
    const recoveryMs = performance.now() - began;
    violations.push(...differences("the next try", describeTree(there.root), wanted));
    return { violations, recoveryMs };
  }

  async sync(random: Random, point: { request: number; moment: (typeof MOMENTS)[number] }): Promise<Trial> {
    const { at } = this;
    await this.#run("sync", at.input).ended;
    edit(random, at.root, 20);
    const wanted = describeTree(at.root);
    const child = this.#run("sync", at.input);
    let from: number | undefined;
    this.onRequest = (n, moment) => {
      from ??= n;
      if (n - from === point.request && moment === point.moment) child.kill();
    };
    const end = await child.ended.catch(String);
    this.onRequest = undefined;
    const violations = [
      // After an answer it may be faster than the signal.
      ...(end === "SIGKILL" || point.moment === "answered" ? [] : [`it ended with ${JSON.stringify(end)}`]),
      ...differences("the workspace itself", describeTree(at.root), wanted),
      ...dangling(at.peer.store),
    ];
    const began = performance.now();
    const { snapshotId } = await this.#run("sync", at.input).ended;
    const recoveryMs = performance.now() - began;
    const there = at.elsewhere(snapshotId);
    await this.#run("restore", there).ended;
    violations.push(...differences("what was saved", describeTree(there.root), wanted), ...dangling(at.peer.store));
    return { violations, recoveryMs };
  }

  /** Runs the engine in a process of its own. `ended` rejects with the signal or what it wrote. */
  #run(verb: "sync" | "restore", input: Omit<RestoreInput, "snapshotId"> & { snapshotId?: string }, step?: string) {
    const { store: _, ...rest } = input;
    const json = JSON.stringify({ ...rest, url: this.#url, epoch: 1 });
    const child = spawn(process.execPath, [CHILD, verb, json, ...(step === undefined ? [] : [step])]);
    const out: Buffer[] = [];
    child.stdout.on("data", (bytes: Buffer) => out.push(bytes));
    child.stderr.on("data", (bytes: Buffer) => out.push(bytes));
    const ended = once(child, "close").then(([code, signal]) => {
      const said = Buffer.concat(out).toString();
      if (code !== 0) throw (signal as string | null) ?? new Error(said);
      return JSON.parse(said) as { snapshotId: string };
    });
    return { ended, kill: () => child.kill("SIGKILL") };
  }

  dispose(): void {
    this.#server.closeAllConnections();
    this.#server.close();
    this.at.dispose();
  }
}

async function send(response: ServerResponse, answer: Response): Promise<void> {
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  const sent = once(response, "close");
  response.end(Buffer.from(await answer.arrayBuffer()));
  await sent;
}
