/** A run in the hands of a scripted host: the test says what a runner would. */
import type { RunEvent } from "#protocol/events.ts";
import type { RunStart } from "#protocol/messages.ts";
import type { ScriptedHost, ScriptedLink } from "./scripted-host.ts";

export class HostedRun {
  readonly run: RunStart;
  readonly data: ScriptedLink;

  private constructor(data: ScriptedLink, run: RunStart) {
    this.data = data;
    this.run = run;
  }

  /** The first run of a session: the host is given the session, and its worker is there. */
  static async first(host: ScriptedHost): Promise<HostedRun> {
    const { data } = await host.takeAssignment();
    data.send({ type: "worker.status", state: "active" });
    return await HostedRun.start(data);
  }

  /** The session's next run, which its worker is given at once. */
  async next(): Promise<HostedRun> {
    return await HostedRun.start(this.data);
  }

  private static async start(data: ScriptedLink): Promise<HostedRun> {
    const { run } = await data.message<{ type: "run.start"; run: RunStart }>("run.start");
    data.send({ type: "run.accepted", runId: run.runId });
    data.send({ type: "run.started", runId: run.runId });
    return new HostedRun(data, run);
  }

  say(...events: RunEvent[]): number {
    return this.data.send({ type: "run.events", runId: this.run.runId, events });
  }

  /** Says it, and waits until it is in the log. */
  async told(...events: RunEvent[]): Promise<void> {
    await this.data.acknowledged(this.say(...events));
  }
}
