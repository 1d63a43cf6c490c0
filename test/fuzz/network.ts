/** How well things travel at the moment. Its mood is set by steps of the plan; at the end everything is calm. */
import type { Random } from "./random.ts";

export type Mood = {
  /** A request is lost before it arrives. */
  requestLost: number;
  /** It was carried out, and nobody hears of it. */
  answerLost: number;
  /** Something takes seconds instead of milliseconds. */
  slow: number;
  /** A numbered frame arrives twice. */
  repeat: number;
};

export const CALM: Mood = { requestLost: 0, answerLost: 0, slow: 0, repeat: 0 };

export class Network {
  readonly #random: Random;
  mood: Mood = CALM;
  readonly seen = { lost: 0, answerLost: 0, slow: 0, repeated: 0 };

  constructor(random: Random) {
    this.#random = random;
  }

  delayMs(): number {
    if (!this.#random.chance(this.mood.slow)) return this.#random.int(1, 30);
    this.seen.slow++;
    return this.longDelayMs();
  }

  longDelayMs(): number {
    return this.#random.int(200, 8_000);
  }

  fate(): "arrives" | "request lost" | "answer lost" {
    const drawn = this.#random.next();
    if (drawn < this.mood.requestLost) {
      this.seen.lost++;
      return "request lost";
    }
    if (drawn >= this.mood.requestLost + this.mood.answerLost) return "arrives";
    this.seen.answerLost++;
    return "answer lost";
  }

  repeats(): boolean {
    const repeats = this.#random.chance(this.mood.repeat);
    if (repeats) this.seen.repeated++;
    return repeats;
  }
}
