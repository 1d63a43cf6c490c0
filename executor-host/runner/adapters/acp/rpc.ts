/**
 * JSON-RPC 2.0 over a program's standard streams, one message a line. What is not a message (a log line, a half one) and
 * messages that nobody knows are left out or answered with "method not found": an agent may be newer than we are.
 */
import type { ChildProcess } from "node:child_process";
import { StringDecoder } from "node:string_decoder";
import { messageOf } from "../../failure.ts";

export class RpcError extends Error {
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.name = "RpcError";
    this.code = code;
    this.data = data;
  }
}

/** Throw an RpcError to refuse. Undefined: such a request is not known. */
export type Handlers = {
  request: (method: string, params: Record<string, unknown>) => Promise<unknown> | undefined;
  notification: (method: string, params: Record<string, unknown>) => void;
};

type Message = {
  id?: number | string | null;
  method?: string;
  params?: Record<string, unknown>;
  result?: unknown;
  error?: { code?: number; message?: string; data?: unknown };
};
type Pending = { resolve: (result: unknown) => void; reject: (error: Error) => void };

const METHOD_NOT_FOUND = -32_601;
const INTERNAL_ERROR = -32_603;
/** A line that is longer is not a message of an agent in its right mind; it would fill the runner's memory. */
const MAX_LINE_CHARS = 64 * 1024 * 1024;

export class Rpc {
  readonly #child: ChildProcess;
  #handlers: Handlers = { request: () => undefined, notification: () => {} };
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #over: Error | undefined;

  /** Reads from the child's standard output from now on. */
  constructor(child: ChildProcess) {
    this.#child = child;
    const decoder = new StringDecoder("utf8");
    let text = "";
    child.stdout?.on("data", (part: Buffer) => {
      text += decoder.write(part);
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      if (text.length > MAX_LINE_CHARS) this.end(new Error("The agent sent a message without end."));
      for (const line of lines) this.#read(line);
    });
    child.stdin?.on("error", () => {}); // the program has left; its exit says why
  }

  /** Who answers the agent, and hears what it says, from now on. */
  serve(handlers: Handlers): void {
    this.#handlers = handlers;
  }

  /** Everything that was asked is answered, and more can be asked. */
  get isIdle(): boolean {
    return this.#pending.size === 0 && this.#over === undefined;
  }

  /** @throws RpcError what the agent answers; what `end` was given when it does not answer any more */
  request<T>(method: string, params: object): Promise<T> {
    if (this.#over) return Promise.reject(this.#over);
    const id = ++this.#lastId;
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as Pending["resolve"], reject });
      this.#send({ id, method, params });
    });
  }

  notify(method: string, params: object): void {
    this.#send({ method, params });
  }

  /** Nothing comes any more: whoever waits learns why. */
  end(why: Error): void {
    this.#over ??= why;
    for (const { reject } of this.#pending.values()) reject(this.#over);
    this.#pending.clear();
  }

  #send(message: object): void {
    if (this.#child.stdin?.writable) this.#child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }

  #read(line: string): void {
    const message = parse(line);
    if (!message || this.#over) return;
    const { id, method, params = {} } = message;
    if (method === undefined) this.#answered(message);
    else if (id === undefined || id === null) this.#handlers.notification(method, params);
    else void this.#serve(id, method, params);
  }

  #answered({ id, result, error }: Message): void {
    const pending = this.#pending.get(Number(id));
    if (!pending) return;
    this.#pending.delete(Number(id));
    if (error) pending.reject(new RpcError(error.code ?? 0, error.message ?? "an error without words", error.data));
    else pending.resolve(result ?? {});
  }

  async #serve(id: number | string, method: string, params: Record<string, unknown>): Promise<void> {
    try {
      const serving = this.#handlers.request(method, params);
      if (!serving) throw new RpcError(METHOD_NOT_FOUND, `${method} is not known here.`);
      this.#send({ id, result: (await serving) ?? {} });
    } catch (error) {
      const code = error instanceof RpcError ? error.code : INTERNAL_ERROR;
      this.#send({ id, error: { code, message: messageOf(error) } });
    }
  }
}

function parse(line: string): Message | undefined {
  if (!line.trimStart().startsWith("{")) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // a log line that looks like one
  }
}
