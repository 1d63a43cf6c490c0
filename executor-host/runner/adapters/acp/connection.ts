/**
 * An agent's program and the talk with it. One that takes seconds to start may stay for the next run of its worker that
 * wants the same (decision 14): it is kept once it has answered everything that it was asked, the end of a turn that
 * people stopped among that.
 */
import type { AdapterContext } from "../adapter.ts";
import type { Command } from "./agents.ts";
import { Program } from "./program.ts";
import { Rpc } from "./rpc.ts";
import type { InitializeAnswer } from "./wire.ts";

export class Connection {
  readonly program: Program;
  readonly rpc: Rpc;
  readonly #sessions = new Set<string>();
  #current: string | undefined;
  #hello: Promise<InitializeAnswer> | undefined;

  constructor(name: string, command: Command, cwd: string, context: AdapterContext) {
    this.program = new Program(name, command, cwd, context);
    this.rpc = new Rpc(this.program.child);
    void this.program.exited.then((words) => this.rpc.end(new Error(words)));
  }

  /** The conversation that is had now. */
  begin(sessionId: string): void {
    this.#sessions.add(sessionId);
    this.#current = sessionId;
  }

  /** Whether something that is said is of an earlier run's conversation. */
  isPast(sessionId: unknown): boolean {
    return sessionId !== this.#current && this.#sessions.has(String(sessionId));
  }

  /** What the agent says of itself; asked once. @throws RpcError */
  initialize(hello: object): Promise<InitializeAnswer> {
    this.#hello ??= this.rpc.request<InitializeAnswer>("initialize", hello);
    return this.#hello;
  }
}

/** At most one, between two runs. */
export class KeptConnection {
  #kept: { order: string; connection: Connection } | undefined;

  /** The kept one when it is what is ordered, given to the run; otherwise it ends. */
  take(command: Command, cwd: string, context: Pick<AdapterContext, "adopt">): Connection | undefined {
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept?.order === nameOf(command, cwd)) {
      context.adopt(kept.connection.program.child);
      return kept.connection;
    }
    void kept?.connection.program.leave();
    return undefined;
  }

  keep(connection: Connection, command: Command, cwd: string, context: Pick<AdapterContext, "release">): void {
    context.release(connection.program.child);
    const kept = { order: nameOf(command, cwd), connection };
    this.#kept = kept;
    void connection.program.exited.then(() => {
      if (this.#kept === kept) this.#kept = undefined;
    });
  }

  close(): void {
    void this.#kept?.connection.program.leave();
    this.#kept = undefined;
  }
}

function nameOf({ command, args, env }: Command, cwd: string): string {
  return JSON.stringify([command, args, env, cwd]);
}
