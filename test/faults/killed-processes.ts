/** Parts of a whole Gantry are killed in the middle of a run: `npm start` with its host and its containers. */
import { execFileSync } from "node:child_process";
import { performance } from "node:perf_hooks";
import { ensureBaseImage } from "../support/docker-image.ts";
import { Gantry } from "../support/gantry.ts";
import type { Fault, Stage, Trial } from "./fault.ts";
import { Follower } from "./follower.ts";

const DELTAS = 100;
const EVERY_MS = 15;

/** What is killed, and how the run has to end. */
export type Victim = {
  kill(gantry: Gantry, sessionId: string): void | Promise<void>;
  outcome: "succeeded" | "failed container_failed";
  /** That the run counts to: longer than it takes until the victim is back. */
  deltas?: number;
};

const WORKERD: Victim = {
  kill: (gantry) => void process.kill(only(gantry.processes("workerd", "serve")), "SIGKILL"),
  outcome: "succeeded",
};
const DAEMON: Victim = {
  kill: (gantry) => void process.kill(only(gantry.processes("gantry", "host", "run")), "SIGKILL"),
  outcome: "succeeded",
};
const CONTAINER: Victim = {
  kill: (_gantry, sessionId) => void execFileSync("docker", ["kill", containerOf(sessionId)], { stdio: "pipe" }),
  outcome: "failed container_failed",
  // The kill is a process of its own and may take its time.
  deltas: 300,
};

export const workerdKilled = killed(
  "workerd-killed",
  WORKERD,
  "SIGKILL of workerd: nothing that was shown is lost, the run goes on by itself and succeeds at its first attempt; recovery is until the viewer has the next event",
);
export const daemonKilled = killed(
  "daemon-killed",
  DAEMON,
  "SIGKILL of the host daemon: the container runs on, the next daemon takes it up, the run succeeds at its first attempt; recovery is until the viewer has the next event",
);
export const containerKilled = killed(
  "container-killed",
  CONTAINER,
  "SIGKILL of the container: what was said stays, the run ends once with container_failed, and the session's next run succeeds; recovery is until that end",
);

function killed(name: string, victim: Victim, how: string): Fault {
  return {
    name,
    how: `${how}; a run of ${victim.deltas ?? DELTAS} deltas, killed after as many as the seed says`,
    needs: "docker",
    trials: { long: 20, short: 1 },
    open: async () => stageOf(await Gantry.start({ GANTRY_IMAGE: await ensureBaseImage() }), victim),
  };
}

/** Runs in one session, each with the victim killed in its middle. */
export function stageOf(gantry: Gantry, victim: Victim): Stage {
  let sessionId: string | undefined;
  return {
    async trial(random): Promise<Trial> {
      const prompt = `stream ${victim.deltas ?? DELTAS} ${EVERY_MS}`;
      const body = { prompt, provider: "scripted", ...(sessionId && { sessionId }) };
      const run = await gantry.json<{ runId: string; sessionId: string }>("/api/runs/queue/enqueue", {
        method: "POST",
        body,
      });
      sessionId = run.sessionId;
      const viewer = new Follower(() => gantry.started, run);
      try {
        return await killAt(gantry, victim, viewer, random.int(1, DELTAS - 10));
      } finally {
        viewer.stop();
      }
    },
    dispose: () => gantry.dispose(),
  };
}

async function killAt(gantry: Gantry, victim: Victim, viewer: Follower, position: number): Promise<Trial> {
  await viewer.until(`${position} deltas`, () => viewer.said.length >= position);
  const before = viewer.said.length;
  const began = performance.now();
  await victim.kill(gantry, viewer.sessionId);
  // What was on its way when it was killed is no recovery: the first event of a new connection or daemon is.
  await viewer.until("life after it", () => viewer.ended !== undefined || viewer.lastAt - began > EVERY_MS * 10);
  const recoveryMs = viewer.lastAt - began;
  await viewer.until("the end of the run", () => viewer.ended !== undefined);
  const violations = [...viewer.flaws];
  if (viewer.ended !== victim.outcome) violations.push(`it ended ${viewer.ended}`);
  const wanted = victim.outcome === "succeeded" ? (victim.deltas ?? DELTAS) : viewer.said.length;
  if (viewer.said.length !== wanted || viewer.said.some((n, index) => n !== (viewer.said[0] ?? 0) + index))
    violations.push(`said ${viewer.said.length} of ${wanted}: ${viewer.said.slice(0, 3)}…`);
  if (viewer.said.length < before) violations.push("what was shown is gone");
  if (victim.outcome === "succeeded") {
    const { run } = await gantry.json<{ run: { attempts: number } }>(`/api/runs/${viewer.runId}`);
    if (run.attempts !== 1) violations.push(`${run.attempts} attempts`);
  } else {
    const again = await gantry.run({ sessionId: viewer.sessionId, prompt: "say Still here.", provider: "scripted" });
    if (again.text !== "Still here.")
      violations.push(`the next run said "${again.text}" (${again.outcome}, ${again.reason}, ${again.evidence})`);
  }
  return { violations, recoveryMs, figures: { position } };
}

function containerOf(sessionId: string): string {
  const [id = ""] = execFileSync("docker", ["ps", "-q", "--filter", `label=gantry.session=${sessionId}`], {
    encoding: "utf8",
  }).split("\n");
  return id;
}

function only(pids: readonly number[]): number {
  const [pid] = pids;
  if (pid === undefined) throw new Error("there is no such process to kill");
  return pid;
}
