/** The whole daemon in this process; the control plane, the engine and the store are the test's. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunEvent } from "#protocol/events.ts";
import { newRunId } from "#protocol/ids.ts";
import type { RunStart } from "#protocol/messages.ts";
import { type Clock, systemClock } from "../../../executor-host/clock.ts";
import { type HostIdentity, readSettings, type Settings, statePaths } from "../../../executor-host/config.ts";
import type { WorkerEngine } from "../../../executor-host/container/port.ts";
import { ensureHostKey } from "../../../executor-host/host-key.ts";
import type { LinkEnd } from "../../../executor-host/link/link.ts";
import { createLogs } from "../../../executor-host/logs.ts";
import { type Host, startHost } from "../../../executor-host/main.ts";
import type { RestoreInput, SyncInput } from "../../../executor-host/workspace/port.ts";
import { Inbox } from "../../support/inbox.ts";
import { type DataPeer, ScriptedControlPlane } from "../../support/scripted-control-plane.ts";
import { type RunningWorker, ScriptedEngine } from "../../support/scripted-engine.ts";

export const SESSION = "ses_aaaaaaaaaaaaaaaaaaaa";

export class HostUnderTest {
  readonly plane: ScriptedControlPlane;
  readonly engine = new ScriptedEngine();
  readonly stateDir: string;
  readonly paths: ReturnType<typeof statePaths>;
  readonly clock: Clock;
  readonly settings: Settings;
  readonly syncs = new Inbox<SyncInput>();
  /** What was handed in of lost leases. */
  readonly handedIn = new Inbox<SyncInput>();
  readonly restores = new Inbox<RestoreInput>();
  readonly ends = new Inbox<LinkEnd>();
  /** What the next syncs do; the last one stays. Resolves to a snapshot id or rejects. */
  sync: (input: SyncInput) => Promise<string> = async () => "a".repeat(64);
  handIn: (input: SyncInput) => Promise<void> = async () => {};
  restore: (input: RestoreInput) => Promise<void> = async () => {};
  /** How the daemon comes by its toolkit. */
  toolkit: () => Promise<string> = async () => join(this.stateDir, "toolkit");
  /** What is left on the disk. */
  freeBytes = 2 ** 40;
  host!: Host;
  /** More engines beside the scripted one, for the next launch. */
  otherEngines: WorkerEngine[] = [];
  /** What the next launch logs with. */
  logger = createLogs({ level: process.env.TEST_LOG === "1" ? "trace" : "silent" }).logger;

  private constructor(plane: ScriptedControlPlane, clock: Clock, settings: Partial<Settings>) {
    this.plane = plane;
    this.clock = clock;
    // Short, because sockets lie in it.
    this.stateDir = mkdtempSync(join(tmpdir(), "gh-"));
    this.paths = statePaths(this.stateDir);
    this.settings = { ...readSettings(this.paths, {}), slots: 2, allowProcessMode: true, ...settings };
  }

  static async start(
    options: { clock?: Clock; settings?: Partial<Settings>; tokenLifeMs?: number } = {},
  ): Promise<HostUnderTest> {
    const plane = await ScriptedControlPlane.start();
    const clock = options.clock ?? systemClock;
    plane.now = () => clock.now();
    plane.tokenLifeMs = options.tokenLifeMs ?? plane.tokenLifeMs;
    const under = new HostUnderTest(plane, clock, options.settings ?? {});
    await ensureHostKey(under.paths);
    await under.launch();
    await plane.control.messages.next(({ type }) => type === "facts");
    return under;
  }

  /** Starts the daemon (again) on the same state folder. */
  async launch(): Promise<void> {
    const identity: HostIdentity = {
      hostId: this.plane.hostId,
      organizationId: "org_1",
      controlUrl: this.plane.url,
      pool: "default",
      name: "test",
      installationId: "installation-1",
      labels: { zone: "a" },
    };
    this.host = await startHost(
      { paths: this.paths, identity, settings: this.settings, env: {} },
      {
        logger: this.logger,
        clock: this.clock,
        chance: () => 0.5,
        engines: [this.engine, ...this.otherEngines],
        toolkit: {
          dir: () => this.toolkit(),
          providers: async () => ({ scripted: { state: "ready" } }),
        },
        openEgress: async () => undefined,
        freeBytes: async () => this.freeBytes,
        workspace: {
          syncWorkspace: async (input) => {
            this.engine.journal.push(`sync ${input.sessionId} ${input.store.epoch}`);
            this.syncs.put(input);
            const snapshotId = await this.sync(input);
            return { snapshotId, files: 1, bytes: 1, bytesSent: 0, changed: true, omitted: 0 };
          },
          handInWorkspace: async (input) => {
            this.handedIn.put(input);
            await this.handIn(input);
            return { snapshotId: "d".repeat(64), files: 1, bytes: 1, bytesSent: 0, changed: true, omitted: 0 };
          },
          restoreWorkspace: async (input) => {
            this.engine.journal.push(`restore ${input.snapshotId.slice(0, 1)}`);
            this.restores.put(input);
            await this.restore(input);
            return { files: 0, bytes: 0, bytesFetched: 0 };
          },
        },
        ended: (end) => this.ends.put(end),
      },
    );
  }

  data(sessionId = SESSION): DataPeer {
    return this.plane.data(sessionId);
  }

  /** Offers the session and waits until the host has accepted and dialled. */
  async lease(epoch = 1, sessionId = SESSION): Promise<DataPeer> {
    this.plane.control.send({ type: "assign", assignment: this.plane.assignment(sessionId, epoch) });
    await this.plane.control.messages.next((m) => m.type === "assign.accept" && m.epoch === epoch);
    await this.data(sessionId).connections.next(({ auth }) => auth.epoch === epoch);
    return this.data(sessionId);
  }

  /** Sends a run and waits until the runner streams it. */
  async run(run: Partial<RunStart> = {}): Promise<{ runId: string; worker: RunningWorker }> {
    const runId = run.runId ?? newRunId(SESSION);
    this.data().send({ type: "run.start", run: runStart({ runId, ...run }) });
    await this.data().messages.next((m) => m.type === "run.started" && m.runId === runId);
    const worker = this.engine.workers.all.at(-1);
    if (!worker) throw new Error("no worker");
    await worker.runner.calls.next(({ path }) => path.startsWith(`/provider-runs/${runId}/stream`));
    return { runId, worker };
  }

  /** All events of a run as the control plane got them, in order. */
  events(runId: string): RunEvent[] {
    return this.data().messages.all.flatMap((m) => (m.type === "run.events" && m.runId === runId ? m.events : []));
  }

  async eventOf(runId: string, type: RunEvent["type"]): Promise<void> {
    if (this.events(runId).some((event) => event.type === type)) return;
    await this.data().messages.next(
      (m) => m.type === "run.events" && m.runId === runId && m.events.some((e) => e.type === type),
    );
  }

  async stop(): Promise<void> {
    await this.host.close();
    this.engine.stop();
    await this.plane.stop();
    rmSync(this.stateDir, { recursive: true, force: true });
  }
}

export function runStart(run: Partial<RunStart> = {}): RunStart {
  const runId = run.runId ?? newRunId(SESSION);
  return {
    runId,
    sessionId: SESSION,
    provider: "scripted",
    prompt: "say hello",
    timeoutMs: 60_000,
    attempt: 1,
    traceId: "trc_00000000000000000002",
    ...run,
  };
}

export const delta = (text: string, messageId = "msg_1"): RunEvent => ({
  type: "message.delta",
  data: { messageId, chunks: [{ type: "text-delta", id: "0", delta: text }] },
});
export const messageStop = (text: string, messageId = "msg_1"): RunEvent => ({
  type: "message.stop",
  data: { messageId, text },
});
export const finished: RunEvent = { type: "run.finished", data: { outcome: "succeeded" } };

/** The text of all deltas, in order. */
export function textOf(events: readonly RunEvent[]): string {
  return events
    .flatMap((event) => (event.type === "message.delta" ? event.data.chunks : []))
    .map((chunk) => (chunk.type === "text-delta" ? chunk.delta : ""))
    .join("");
}
