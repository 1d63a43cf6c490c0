/** A control plane with scripted hosts, and runs in their hands whose words are numbered. */
import type { RunEvent, SessionEvent } from "#protocol/events.ts";
import type { Assignment, FromHostData, RunStart } from "#protocol/messages.ts";
import { startTestControlPlane, type TestControlPlane } from "../support/control-plane.ts";
import { Inbox } from "../support/inbox.ts";
import { newSession, Page } from "../support/live-session.ts";
import { ObjectState } from "../support/object-state.ts";
import { ScriptedHost, type ScriptedHostOptions, type ScriptedLink } from "../support/scripted-host.ts";

export class Pool {
  plane: TestControlPlane;

  private constructor(plane: TestControlPlane) {
    this.plane = plane;
  }

  /** Where a pool that wants nothing in particular gets its control plane; tests give it the one that they share. */
  static start: () => Promise<TestControlPlane> = startTestControlPlane;

  /** With options: on a control plane of its own. */
  static async open(options?: Parameters<typeof startTestControlPlane>[0]): Promise<Pool> {
    return new Pool(await (options ? startTestControlPlane(options) : Pool.start()));
  }

  async host(options: ScriptedHostOptions = {}): Promise<ScriptedHost> {
    const { joinToken = "" } = await this.plane.bootstrap("joinToken");
    return await ScriptedHost.online(this.plane.url, joinToken, { slots: 1_000, ...options });
  }

  /** A session with a prompt that waits for a host. */
  async asked(options: { retryOn?: "host_lost"[] } = {}): Promise<Asked> {
    const sessionId = await newSession(this.plane);
    const page = await Page.open(this.plane, sessionId);
    const answer = await page.ask({ type: "prompt", prompt: { text: "work", ...options } });
    if (!answer.ok || !answer.runId) throw new Error(`the prompt was refused: ${JSON.stringify(answer)}`);
    return { sessionId, page, runId: answer.runId };
  }

  /** A run that `host` has started. */
  async running(host: ScriptedHost): Promise<Running> {
    const { sessionId, page, runId } = await this.asked();
    const { assignment, data } = await host.takeAssignment();
    const mouth = new Mouth(host, assignment, data);
    await data.message<{ type: string; run: RunStart }>("run.start");
    mouth.send({ type: "worker.status", state: "active" });
    mouth.send({ type: "run.accepted", runId });
    await mouth.told({ type: "run.started", runId });
    await page.until("the start", (view) => view.runs[0]?.state === "running");
    return { sessionId, page, runId, mouth, assignment };
  }

  /** Another page at the same session, from where this one is. */
  async reopened(page: Page, cursor = page.view.cursor): Promise<Page> {
    return await Page.open(this.plane, page.view.id, cursor);
  }

  /** The control plane stops, `meanwhile` happens to its state, and it is there again, at another port. */
  async restarted(meanwhile: (state: ObjectState) => void): Promise<void> {
    const { stateDir, secrets } = this.plane;
    await this.plane.dispose();
    meanwhile(new ObjectState(stateDir));
    this.plane = await startTestControlPlane({ stateDir, secrets });
  }

  async dispose(): Promise<void> {
    await this.plane.dispose();
  }
}

/** The offers that come to some hosts, whichever of them gets one. */
export class Offers {
  readonly #inbox = new Inbox<Offer>();
  readonly #seen = new Set<string>();
  readonly #acknowledged: "at once" | "with the answer";

  /** @param acknowledged a daemon does it with its answer; the fault tests also have hosts that never answer */
  constructor(acknowledged: "at once" | "with the answer" = "at once") {
    this.#acknowledged = acknowledged;
  }

  /** Also after each of its reconnections. */
  follow(host: ScriptedHost): void {
    const { control } = host;
    const look = (text: string) => {
      const { n, message } = JSON.parse(text) as { n: number; message?: { type: string; assignment: Assignment } };
      if (message?.type !== "assign") return;
      const { assignment } = message;
      control.taken = Math.max(control.taken, n);
      if (this.#acknowledged === "at once") control.frame({ ack: control.taken });
      const key = `${assignment.sessionId}/${assignment.epoch}`;
      if (!this.#seen.has(key)) this.#inbox.put({ host, assignment, toJSON: () => assignment });
      this.#seen.add(key);
    };
    for (const frame of [...control.frames]) look(JSON.stringify(frame));
    control.socket.on("message", (data) => data.toString() === "pong" || look(data.toString()));
  }

  async any(): Promise<Offer> {
    return await this.#inbox.next();
  }

  async next(sessionId: string, patienceMs?: number): Promise<Offer> {
    return await this.#inbox.next(({ assignment }) => assignment.sessionId === sessionId, patienceMs);
  }
}

export type Offer = {
  host: ScriptedHost;
  assignment: Assignment;
  /** A host is no words for a message. */
  toJSON?: () => unknown;
};
export type Asked = { sessionId: string; page: Page; runId: string };
export type Running = Asked & { mouth: Mouth; assignment: Assignment };

/** A host's end of a data link as PROTOCOL.md wants it: what was not acknowledged is kept and sent again. */
export class Mouth {
  readonly host: ScriptedHost;
  readonly assignment: Assignment;
  link: ScriptedLink;
  /** Number n is at n - 1. */
  readonly messages: FromHostData[] = [];

  constructor(host: ScriptedHost, assignment: Assignment, link: ScriptedLink) {
    this.host = host;
    this.assignment = assignment;
    this.link = link;
  }

  /** The next message's frame, kept but not sent. */
  keep(message: FromHostData): string {
    this.messages.push(message);
    return this.frame(this.messages.length);
  }

  frame(n: number): string {
    return JSON.stringify({ n, ack: this.link.taken, message: this.messages[n - 1] });
  }

  send(message: FromHostData): number {
    this.link.raw(this.keep(message));
    return this.messages.length;
  }

  /** Says it and waits until the session has it on disk. */
  async told(message: FromHostData): Promise<void> {
    await this.link.acknowledged(this.send(message));
  }

  /** A new socket: both sides say what they have, and the rest is sent again. */
  async resume(): Promise<void> {
    const { taken } = this.link;
    this.link = await this.host.dial(this.assignment);
    const received = await this.link.handshake(this.host.token, { epoch: this.assignment.epoch, received: taken });
    if (received > this.messages.length) throw new Error(`the session has ${received} of ${this.messages.length}`);
    for (let n = received + 1; n <= this.messages.length; n++) this.link.raw(this.frame(n));
  }

  /** Resolves when everything was taken. */
  async drained(): Promise<void> {
    const all = this.messages.length;
    // A frame that was taken already is acknowledged again, so there is always something to wait for.
    this.link.raw(this.frame(all));
    await this.link.acknowledged(all);
  }
}

/** Takes an offer: accepts it and opens the data link. */
export async function accepted({ host, assignment }: Offer): Promise<Mouth> {
  const { sessionId, epoch } = assignment;
  host.control.send({ type: "assign.accept", sessionId, epoch });
  return new Mouth(host, assignment, await host.dialIn(assignment));
}

/** The host comes back as after a crash, without the leases it had: they are lost at once, and not after their time. */
export async function forgetLeases(host: ScriptedHost, offers: Offers): Promise<void> {
  await host.connect([], host.control.taken);
  offers.follow(host);
}

/** The worker is stopped, so that its slot is free for the next trial. */
export async function leave({ mouth, page }: Pick<Running, "mouth" | "page">): Promise<void> {
  page.close();
  mouth.send({ type: "worker.status", state: "stopped" });
  await mouth.link.closed;
}

/** Event number `k` of a run. */
export const numbered = (k: number): RunEvent => ({
  type: "message.delta",
  data: { messageId: "m", chunks: [{ type: "text-delta", id: "1", delta: `#${k}#` }] },
});
export const begin: RunEvent = {
  type: "message.delta",
  data: { messageId: "m", chunks: [{ type: "text-start", id: "1" }] },
};
export const finished: RunEvent = { type: "run.finished", data: { outcome: "succeeded" } };

/** What is wrong with a log in which the run said 1 to `count` and ended. */
export function flaws(events: readonly SessionEvent[], runId: string, count: number): string[] {
  const wrong: string[] = [];
  const gap = events.findIndex((event, index) => index > 0 && firstSeq(event) !== (events[index - 1]?.seq ?? 0) + 1);
  if (gap >= 0) wrong.push(`event ${events[gap]?.seq} follows event ${events[gap - 1]?.seq}`);
  const mine = events.filter((event) => event.runId === runId);
  const said = mine.flatMap((event) =>
    event.type === "message.delta"
      ? event.data.chunks.flatMap((chunk) => (chunk.type === "text-delta" ? marks(chunk.delta) : []))
      : [],
  );
  const lost = Array.from({ length: count }, (_, index) => index + 1).filter((k) => !said.includes(k));
  if (lost.length > 0) wrong.push(`lost: ${lost.slice(0, 5)} (${lost.length} of ${count})`);
  const doubled = said.filter((k, index) => said.indexOf(k) !== index);
  if (doubled.length > 0) wrong.push(`doubled: ${doubled.slice(0, 5)} (${doubled.length})`);
  if (said.some((k, index) => k < (said[index - 1] ?? 0))) wrong.push(`out of order: ${said.slice(0, 20)}`);
  const ends = mine.filter(({ type }) => type === "run.finished").length;
  if (ends !== 1) wrong.push(`${ends} times run.finished`);
  return wrong;
}

/** An event that folds others covers a range. */
const firstSeq = (event: SessionEvent): number => (event as { from?: number }).from ?? event.seq;
const marks = (text: string): number[] => [...text.matchAll(/#(\d+)#/g)].map((match) => Number(match[1]));

/** How the page's first run ended, as one phrase. */
export function ending(page: Page): string {
  const [run] = page.view.runs;
  return run?.state === "finished" ? [run.outcome, run.reason].filter(Boolean).join(" ") : `not, it is ${run?.state}`;
}
