/**
 * How much of a message was said to a client, so that a second telling goes on there. Both tell the same chunks in the same
 * order, but for text that came in several pieces first and comes in one later.
 */
import type { UIMessageChunk } from "ai";
import { addedText, streamedText, withText } from "#protocol/join-text.ts";

/** After so many chunks, neighbouring text counted as one, and so much text of the last of them. */
type Place = { chunks: number; chars: number; last?: UIMessageChunk };

export class Said {
  #said: Place = { chunks: 0, chars: 0 };
  #now: Place = { chunks: 0, chars: 0 };

  /** The message is told from its beginning. */
  again(): void {
    this.#now = { chunks: 0, chars: 0 };
  }

  /** What of these chunks, the next of the telling, was not said yet. It is said from here on. */
  fresh(chunks: readonly UIMessageChunk[]): UIMessageChunk[] {
    return chunks.flatMap((chunk) => {
      const now = next(this.#now, chunk);
      this.#now = now;
      const said = this.#said;
      if (now.chunks < said.chunks || (now.chunks === said.chunks && now.chars <= said.chars && said.last)) return [];
      this.#said = now;
      const unsaid = now.chunks === said.chunks ? now.chars - said.chars : Number.POSITIVE_INFINITY;
      const text = streamedText(chunk) ?? "";
      return [unsaid < text.length ? withText(chunk, text.slice(-unsaid)) : chunk];
    });
  }
}

function next({ chunks, chars, last }: Place, chunk: UIMessageChunk): Place {
  const added = last && addedText(last, chunk);
  if (added !== undefined) return { chunks, chars: chars + added.length, last };
  return { chunks: chunks + 1, chars: (streamedText(chunk) ?? "").length, last: chunk };
}
