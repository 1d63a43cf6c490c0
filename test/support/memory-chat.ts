/** The engine of `useChat` without React: the AI SDK's own AbstractChat over plain state. */
import { AbstractChat, type ChatInit, type ChatState, type UIMessage } from "ai";
import { within } from "./scripted-host.ts";

class MemoryState implements ChatState<UIMessage> {
  error: Error | undefined;
  #status: ChatState<UIMessage>["status"] = "ready";
  #messages: UIMessage[];
  readonly #changed: () => void;

  constructor(messages: UIMessage[], changed: () => void) {
    this.#messages = messages;
    this.#changed = changed;
  }

  get status() {
    return this.#status;
  }
  set status(status) {
    this.#status = status;
    this.#changed();
  }
  get messages() {
    return this.#messages;
  }
  set messages(messages) {
    this.#messages = messages;
    this.#changed();
  }
  // Copies, as React's state makes them: the engine goes on writing into what it gave.
  pushMessage = (message: UIMessage) => {
    this.messages = [...this.#messages, structuredClone(message)];
  };
  popMessage = () => {
    this.messages = this.#messages.slice(0, -1);
  };
  replaceMessage = (index: number, message: UIMessage) => {
    this.messages = this.#messages.with(index, structuredClone(message));
  };
  snapshot = <T>(thing: T): T => structuredClone(thing);
}

export class MemoryChat extends AbstractChat<UIMessage> {
  readonly #watchers: Set<() => void>;

  constructor({ messages = [], ...init }: ChatInit<UIMessage>) {
    const watchers = new Set<() => void>();
    const state = new MemoryState(messages, () => {
      for (const look of [...watchers]) look();
    });
    super({ ...init, state });
    this.#watchers = watchers;
  }

  async until(what: string, holds: (chat: MemoryChat) => boolean): Promise<void> {
    if (holds(this)) return;
    const come = new Promise<void>((resolve) => {
      const look = () => {
        if (!holds(this)) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
    });
    await within(
      come,
      () => `${what}; status ${this.status}, error ${this.error}, ${JSON.stringify(this.lastMessage)}`,
    );
  }
}
