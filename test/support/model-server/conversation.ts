/** What a request means, whatever wire it came over: which scenario it asks for and how far that has come. */

/** A message of the request, reduced to what the choice needs. */
export type Said = { role: "user" | "assistant"; text: string };

export type Conversation = {
  model: string;
  stream: boolean;
  said: Said[];
  toolNames: string[];
  /** System prompt and everything else that is text, to look for the working directory. */
  allText: string;
};

/** A scenario as the prompt names it: `SCN:name`, with arguments as in `SCN:text:200`. */
export type Asked = {
  name: string;
  args: string[];
  /** The last prompt with a scenario in it. */
  prompt: string;
  /** How many answers the model has given since: 0 for the first. */
  turn: number;
};

const MARK = /SCN:([a-z0-9-]+)((?::[^\s:]+)*)/g;

/** The scenario of the last message that names one; undefined when none does. */
export function askedScenario(said: readonly Said[]): Asked | undefined {
  const at = said.findLastIndex(({ role, text }) => role === "user" && text.match(MARK));
  const prompt = said[at]?.text;
  const mark = prompt === undefined ? undefined : [...prompt.matchAll(MARK)].at(-1);
  if (prompt === undefined || !mark?.[1]) return undefined;
  const turn = turnsOf(said.slice(at + 1));
  return { name: mark[1], args: (mark[2] ?? "").split(":").filter(Boolean), prompt, turn };
}

/** How many answers the model has given in these messages. */
export function turnsOf(said: readonly Said[]): number {
  return said.filter(({ role }, index) => role === "assistant" && said[index - 1]?.role !== "assistant").length;
}

/** A value that the prompt gives as `NAME:value` (to the next white space), or in quotes for more words. */
export function given(prompt: string, name: string): string | undefined {
  const match = new RegExp(`${name}:(?:"([^"]*)"|(\\S+))`).exec(prompt);
  return match?.[1] ?? match?.[2];
}

/** Where the agent says it works; containers say /workspace. */
export function workingDirectory({ allText }: Conversation): string {
  return /[Ww]orking directory:\s*(\/[^\s<"\\]*)/.exec(allText)?.[1] ?? "/workspace";
}
