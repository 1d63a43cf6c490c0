/** The restore thread's side of the threads that help it (writer-thread.ts). Without any, everything here does nothing. */
import type { MessagePort } from "node:worker_threads";
import type { Lacking, Owner } from "./file-writer.ts";
import type { Part } from "./frame-work.ts";
import { errorOf } from "./restore-failure.ts";
import { type Seen, unpackSeen } from "./signature.ts";
import type { FromWriter, ToWriter } from "./writer-thread.ts";

type Ended = Extract<FromWriter, { type: "ended" }>;

export class Writers {
  readonly #ports: readonly MessagePort[];
  /** Resolved by the answers that a port owes, in the order in which they were asked for. */
  readonly #owed = new Map<MessagePort, ((answer: FromWriter) => void)[]>();

  constructor(ports: readonly MessagePort[]) {
    this.#ports = ports;
    for (const port of ports) {
      this.#owed.set(port, []);
      port.on("message", (answer: FromWriter) => this.#owed.get(port)?.shift()?.(answer));
    }
  }

  begin(restore: { text: Uint8Array; staging: string; owner: Owner | undefined }): void {
    const { text, staging, owner } = restore;
    this.#tell({ type: "begin", text, staging, ...(owner === undefined ? {} : { owner }) });
  }

  write(left: Int32Array, lacking: Lacking): void {
    this.#tell({ type: "write", left, lacking });
  }

  /** Resolves when all have written their share. Throws what one of them threw. */
  async share(part: Part): Promise<void> {
    await this.#ask({ type: "fetched", part });
  }

  /** What the file system says of the files that they finished. */
  async end(): Promise<[path: string, seen: Seen][]> {
    const answers = await this.#ask({ type: "end" });
    return answers.flatMap((answer) => {
      const { paths, seen } = answer as Ended;
      return unpackSeen(seen).map((each, i): [string, Seen] => [paths[i]!, each]);
    });
  }

  #tell(message: ToWriter): void {
    for (const port of this.#ports) port.postMessage(message);
  }

  async #ask(message: ToWriter): Promise<FromWriter[]> {
    const answers = this.#ports.map(
      (port) => new Promise<FromWriter>((resolve) => this.#owed.get(port)?.push(resolve)),
    );
    this.#tell(message);
    return Promise.all(
      answers.map(async (answered) => {
        const answer = await answered;
        if (answer.type === "failed") throw errorOf(answer);
        return answer;
      }),
    );
  }
}
