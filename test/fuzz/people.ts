/** People and their clients: a command that was not answered is sent again under its id, as the API's clients do. */
import type { HumanLoopReply } from "#protocol/events.ts";
import type { Result } from "#protocol/objects.ts";
import type { PromptInput } from "#protocol/viewer.ts";
import type { Random } from "./random.ts";
import type { SessionNode } from "./session-node.ts";
import type { World } from "./world.ts";

type Command = { id: string; session: SessionNode; body: string; send: () => Promise<Result<object>> };

type Person = { id: string; name: string };
const PEOPLE = [
  { id: "usr_ada", name: "Ada" },
  { id: "usr_bob", name: "Bob" },
  { id: "usr_cy", name: "Cy" },
] as const satisfies readonly Person[];

export class People {
  readonly #world: World;
  readonly #random: Random;
  readonly #sent: Command[] = [];
  #count = 0;
  answersEverything = false;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  create(session: SessionNode): void {
    const { sessionId } = session;
    const input = {
      sessionId,
      organizationId: "",
      title: "Simulated",
      provider: "scripted",
      vmMode: "docker",
    } as const;
    this.#do(session, "create", (context) => session.create(input, context));
  }

  prompt(session: SessionNode): void {
    const random = this.#random;
    const prompt: PromptInput = { text: `work ${this.#count}`, timeoutMs: random.int(10, 120) * 1_000 };
    if (random.chance(0.25)) prompt.retryOn = ["host_lost"];
    if (random.chance(0.3)) prompt.priority = random.int(-2, 2);
    if (random.chance(0.2)) prompt.labels = { zone: "a" };
    const by = random.pick(PEOPLE);
    this.#do(session, JSON.stringify(prompt), (context) => session.prompt(prompt, context), { kind: "prompt", by });
  }

  /** An operator makes a new run of a dead letter, now and then one that they have redriven before. */
  redrive(target: number): void {
    const letters = this.#world.fleet.disk.rows<{ run_id: string; letter: string }>(
      "SELECT run_id, letter FROM dead_letter ORDER BY run_id",
    );
    const chosen = letters[Math.floor(target * letters.length)];
    if (!chosen) return;
    const { run_id: redriveOf } = chosen;
    const { sessionId } = JSON.parse(chosen.letter) as { sessionId: string };
    const session = this.#world.session(sessionId);
    const prompt: PromptInput = { text: "once more", timeoutMs: 60_000, redriveOf };
    const id = `redrive:${redriveOf}`;
    this.#do(session, JSON.stringify(prompt), (context) => session.prompt(prompt, context), { kind: "prompt", id });
  }

  stop(session: SessionNode): void {
    const random = this.#random;
    const run =
      random.chance(0.5) && session.awake ? session.view.runs.filter((each) => each.state !== "finished") : [];
    const input = {
      ...(run.length > 0 ? { runId: random.pick(run).id } : {}),
      ...(random.chance(0.2) ? { clearQueue: true } : {}),
    };
    this.#do(session, JSON.stringify(input), (context) => session.stop(input, context));
  }

  /** Answers one of the requests that are open; two people may do so at once. */
  reply(session: SessionNode): void {
    const random = this.#random;
    const { pending } = session.view;
    if (pending.length === 0) return;
    const { requestId, kind } = random.pick(pending);
    for (let person = 0; person < (random.chance(0.3) ? 2 : 1); person++) {
      const reply: HumanLoopReply =
        kind === "question"
          ? { requestId, decision: "answer", scope: "once", answers: [`${person}`] }
          : { requestId, decision: random.pick(["allow", "deny"] as const), scope: "once" };
      this.#do(session, JSON.stringify(reply), (context) => session.reply(reply, context));
    }
  }

  rename(session: SessionNode): void {
    const title = `title ${this.#count}`;
    this.#do(session, title, (context) => session.rename(title, context));
  }

  remove(session: SessionNode): void {
    this.#do(session, "remove", (context) => session.remove(context));
  }

  /** A client sends an old command once more, however long ago it was. */
  again(): void {
    if (this.#sent.length > 0) this.#send(this.#random.pick(this.#sent), 1);
  }

  /** A command's id for something else: refused, always. */
  reuse(session: SessionNode): void {
    const answered = this.#sent.filter((each) => each.session === session && this.#world.ledger.wasDone(each.id));
    if (answered.length === 0) return;
    const { id } = this.#random.pick(answered);
    const context = { commandId: id, actor: { id: "usr_eve", name: "Eve" }, traceId: "trc_reuse" };
    session.rename("never", context).then(
      (result) => this.#world.ledger.reused(id, result),
      () => undefined,
    );
  }

  /** Once everything is well, nobody lets a question wait. */
  tidyUp(): void {
    for (const session of this.#world.sessions)
      if (session.awake && session.view.pending.length > 0) this.reply(session);
  }

  #do(
    session: SessionNode,
    body: string,
    send: (context: {
      commandId: string;
      actor: { id: string; name: string };
      traceId: string;
    }) => Promise<Result<object>>,
    { kind = "", by = PEOPLE[0], id = `cmd_${this.#count + 1}` }: { kind?: string; by?: Person; id?: string } = {},
  ): void {
    this.#count++;
    const context = { commandId: id, actor: by, traceId: `trc_${this.#count}` };
    const command = { id, session, body, send: () => send(context) };
    this.#sent.push(command);
    if (kind === "prompt") this.#world.ledger.prompted(session, id);
    this.#send(command, 12);
  }

  #send(command: Command, triesLeft: number): void {
    const { ledger, agenda } = this.#world;
    command.send().then(
      (result) => ledger.answered(command.session, command.id, result),
      () => {
        if (triesLeft > 1)
          agenda.after(this.#random.int(300, 4_000), `${command.id} again`, () => this.#send(command, triesLeft - 1));
      },
    );
  }
}
