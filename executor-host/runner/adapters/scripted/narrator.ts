/** Turns what a script does into message chunks: text, reasoning and tool cards with ids that count up. */
import type { AdapterContext } from "../adapter.ts";

export class Narrator {
  readonly #context: AdapterContext;
  #parts = 0;

  constructor(context: AdapterContext) {
    this.#context = context;
  }

  say(text: string): void {
    const { delta, end } = this.open("text");
    delta(text);
    end();
  }

  think(text: string): void {
    const { delta, end } = this.open("reasoning");
    delta(text);
    end();
  }

  /** Opens a part that is extended piece by piece. */
  open(kind: "text" | "reasoning"): { delta: (text: string) => void; end: () => void } {
    const id = this.#nextId(kind);
    const { emit } = this.#context;
    emit({ type: `${kind}-start`, id });
    return {
      delta: (delta) => emit({ type: `${kind}-delta`, id, delta }),
      end: () => emit({ type: `${kind}-end`, id }),
    };
  }

  /** Shows a tool at work. A thrown error is the tool's error and is shown, not thrown; answers the output or undefined. */
  async tool<T>(toolName: string, input: unknown, work: () => Promise<T>): Promise<T | undefined> {
    const toolCallId = this.#nextId("call");
    const { emit } = this.#context;
    emit({ type: "tool-input-start", toolCallId, toolName, dynamic: true });
    emit({ type: "tool-input-available", toolCallId, toolName, input, dynamic: true });
    try {
      const output = await work();
      emit({ type: "tool-output-available", toolCallId, output, dynamic: true });
      return output;
    } catch (error) {
      const errorText = error instanceof Error ? error.message : String(error);
      emit({ type: "tool-output-error", toolCallId, errorText, dynamic: true });
      return undefined;
    }
  }

  #nextId(kind: string): string {
    this.#parts++;
    return `${kind}-${this.#parts}`;
  }
}
