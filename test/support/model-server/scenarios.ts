/**
 * What the fake model does, chosen by `SCN:<name>` in the prompt. A scenario is a list of answers, one per turn of the
 * model; after the last one it says "Done.". Wire independent: tools are named by what they do, the wire knows how the
 * agent at the other end calls them.
 *
 *   SCN:text[:COUNT[:EVERY_MS]]   COUNT text deltas          SCN:think         reasoning, then text
 *   SCN:say:WORD:WORD  says these words
 *   SCN:write-file FILE:path TEXT:"words"                    SCN:todo          a to-do list in three states
 *   SCN:bash CMD:"command"                                   SCN:ask           a question with two options
 *   SCN:error:STATUS   401, 404, 429, 500, 529 …             SCN:too-long      400, the context is full
 *   SCN:cut            the stream breaks off                 SCN:hang          says a word, then nothing
 *   SCN:empty          an answer without content             SCN:history       says what it was told before (MARKER-x)
 *   SCN:bash-hang      a command that runs until it is killed
 *   SCN:insist CMD:"command"  runs it, and once more when the agent is told that it was interrupted
 *   SCN:delegate:TOOL:KIND    gives a sub-agent of that kind a command to run, by the agent's own tool for it
 *   SCN:tool:[NAMESPACE/]NAME INPUT:{"json":true}           a tool by the agent's own name for it; INPUT ends the prompt
 */
import { type Asked, type Conversation, given, turnsOf, workingDirectory } from "./conversation.ts";

export type ToolCall =
  | { tool: "write"; path: string; text: string }
  | { tool: "bash"; command: string }
  | { tool: "todo"; items: { text: string; status: "pending" | "in_progress" | "completed" }[] }
  | { tool: "ask"; question: string; options: string[] }
  /** A tool by the agent's own name for it. */
  | { tool: "raw"; name: string; input: object };

export type Part =
  | { kind: "text"; pieces: string[]; everyMs?: number }
  | { kind: "thinking"; pieces: string[] }
  | { kind: "tool"; call: ToolCall }
  /** The connection breaks here. */
  | { kind: "cut" }
  /** Nothing more comes, until the other side leaves. */
  | { kind: "hang" };

export type Reply = { status: 200; parts: Part[] } | { status: number; message: string };

type Scenario = (asked: Asked, conversation: Conversation) => Reply[];

const say = (text: string): Part => ({ kind: "text", pieces: text.match(/\S+\s*/g) ?? [""] });
const answer = (...parts: Part[]): Reply => ({ status: 200, parts });
const tool = (call: ToolCall): Part => ({ kind: "tool", call });

/** What a session says to an agent that goes on after a person's answer. */
const INTERRUPTED = /interrupted while you waited for a person/;

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  text: ({ args: [count = "20", everyMs = "0"] }) => [
    answer({
      kind: "text",
      pieces: Array.from({ length: Number(count) }, (_, i) => `word${i + 1} `),
      everyMs: Number(everyMs),
    }),
  ],
  say: ({ args }) => [answer(say(args.join(" ")))],
  think: () => [answer({ kind: "thinking", pieces: ["First I ", "think."] }, say("I thought about it."))],
  "write-file": ({ prompt }, conversation) => {
    const path = given(prompt, "FILE") ?? `${workingDirectory(conversation)}/hello.txt`;
    const text = given(prompt, "TEXT") ?? "hello world\n";
    return [
      answer(say("I write the file. "), tool({ tool: "write", path, text })),
      answer(say("The file is written.")),
    ];
  },
  todo: () => [
    answer(
      say("A plan. "),
      tool({
        tool: "todo",
        items: [
          { text: "Read the code", status: "completed" },
          { text: "Write the code", status: "in_progress" },
          { text: "Test it", status: "pending" },
        ],
      }),
    ),
    answer(say("The plan is kept.")),
  ],
  bash: ({ prompt }) => [
    answer(say("I run it. "), tool({ tool: "bash", command: given(prompt, "CMD") ?? "echo hi" })),
    answer(say("It ran.")),
  ],
  insist: ({ prompt, turn }, { said }) => {
    const toldAt = said.findLastIndex(({ role, text }) => role === "user" && INTERRUPTED.test(text));
    const again = toldAt >= 0 && turnsOf(said.slice(toldAt + 1)) === 0;
    const run = answer(say("I run it. "), tool({ tool: "bash", command: given(prompt, "CMD") ?? "echo hi" }));
    return [run, ...Array<Reply>(turn).fill(again ? run : answer(say("It ran.")))];
  },
  tool: ({ prompt, args: [name = ""] }) => [
    answer(say("I use it. "), tool({ tool: "raw", name, input: JSON.parse(prompt.split(/INPUT:/)[1] ?? "{}") })),
    answer(say("It is used.")),
  ],
  delegate: ({ args: [name = "", kind] }) => {
    const input = { description: "Look below", prompt: 'SCN:bash CMD:"echo from below"', subagent_type: kind };
    return [answer(say("I send someone. "), tool({ tool: "raw", name, input })), answer(say("They came back."))];
  },
  "bash-hang": () => [answer(say("I run it. "), tool({ tool: "bash", command: "tail -f /dev/null" }))],
  ask: () => [
    answer(say("I must ask. "), tool({ tool: "ask", question: "Which colour?", options: ["Red", "Blue"] })),
    answer(say("Thanks for the answer.")),
  ],
  error: ({ args: [status = "500"] }) =>
    Array<Reply>(20).fill({ status: Number(status), message: `scripted ${status}` }),
  "too-long": () => [{ status: 400, message: "prompt is too long: 250000 tokens > 200000 maximum" }],
  cut: () => Array<Reply>(20).fill(answer(say("This breaks "), { kind: "cut" })),
  hang: () => [answer(say("I begin. "), { kind: "hang" })],
  empty: () => [answer()],
  history: (_asked, { said }) => {
    const markers = new Set(said.flatMap(({ text }) => text.match(/MARKER-\w+/g) ?? []));
    return [answer(say(`I was told: ${[...markers].join(" ") || "nothing"}.`))];
  },
};

/** The model's next answer. A prompt that names no scenario gets a friendly word; an unknown scenario is the test's bug. */
export function nextReply(asked: Asked | undefined, conversation: Conversation): Reply {
  if (!asked) return answer(say("Hello from the fake model."));
  const scenario = SCENARIOS[asked.name];
  if (!scenario) return { status: 400, message: `the fake model knows no scenario ${asked.name}` };
  return scenario(asked, conversation)[asked.turn] ?? answer(say("Done."));
}
