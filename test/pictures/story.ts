/** What the model says in the README's pictures: for each prompt its answers, one per turn. The agent around it is real. */
import { type Conversation, turnsOf } from "../support/model-server/conversation.ts";
import type { Part, Reply, ToolCall } from "../support/model-server/scenarios.ts";

export const PROMPTS = {
  clock: "A web page with a clock for Tokyo, Nairobi and Lima, please. No libraries.",
  tests: "Now tests for it, please.",
  commit: "Yes, commit it.",
} as const;

const HTML = `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <title>World clock</title>
  <ul id="clocks"></ul>
  <script type="module">
    import { draw } from "./clock.js";
    setInterval(draw, 1000, document.querySelector("#clocks"));
  </script>
</html>
`;

const CLOCK = `const cities = [
  { name: "Tokyo", zone: "Asia/Tokyo" },
  { name: "Nairobi", zone: "Africa/Nairobi" },
  { name: "Lima", zone: "America/Lima" },
];

// One formatter per zone: making them is what costs.
const formatters = new Map();

export function timeIn(zone, now = new Date()) {
  let format = formatters.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en", { timeZone: zone, timeStyle: "medium" });
    formatters.set(zone, format);
  }
  return format.format(now);
}

export function draw(list, now = new Date()) {
  list.replaceChildren(
    ...cities.map(({ name, zone }) => {
      const item = document.createElement("li");
      item.textContent = name + " " + timeIn(zone, now);
      return item;
    }),
  );
}
`;

const TEST = `import assert from "node:assert/strict";
import test from "node:test";
import { timeIn } from "../src/clock.js";

const noon = new Date("2026-01-15T12:00:00Z");

for (const [zone, time] of [["Asia/Tokyo", "9:00:00"], ["Africa/Nairobi", "3:00:00"], ["America/Lima", "7:00:00"]]) {
  test(zone, () => assert.match(timeIn(zone, noon), new RegExp("^" + time)));
}
`;

const README = `# World clock

Three cities, one page. Open \`src/index.html\` in a browser.
`;

const SUMMARY = `The page shows the three cities and moves every second.

| City | Zone | UTC |
|---|---|---|
| Tokyo | \`Asia/Tokyo\` | +9 |
| Nairobi | \`Africa/Nairobi\` | +3 |
| Lima | \`America/Lima\` | −5 |

Daylight saving is left to the browser, so no table of our own can go stale.`;

const STEPS = ["Write the test", "Run it", "Look at the page once more"];

const say = (text: string): Part => ({ kind: "text", pieces: text.match(/\S*\s*/g)?.filter(Boolean) ?? [] });
const use = (call: ToolCall): Part => ({ kind: "tool", call });
const write = (path: string, text: string): Part => use({ tool: "write", path: `/workspace/${path}`, text });
const bash = (command: string): Part => use({ tool: "bash", command });
/** The list with so many steps done, and the next one under way. */
const todo = (done: number): Part => {
  const status = (at: number) => (at < done ? "completed" : at === done ? "in_progress" : "pending");
  return use({ tool: "todo", items: STEPS.map((text, at) => ({ text, status: status(at) })) });
};
const answer = (...parts: Part[]): Reply => ({ status: 200, parts });

const ANSWERS: Readonly<Record<keyof typeof PROMPTS, Reply[]>> = {
  clock: [
    answer(say("One page, one module, no libraries. "), write("src/clock.js", CLOCK)),
    answer(write("src/index.html", HTML)),
    answer(write("README.md", README)),
    answer(say(SUMMARY)),
  ],
  tests: [
    answer(say("I write a small test first; it needs Node's own runner and nothing else. "), todo(0)),
    answer(write("test/clock.test.js", TEST)),
    answer(todo(1)),
    answer(bash("/opt/gantry/node --test")),
    answer(say("All three pass. I leave them running while I look at the page once more: "), todo(2)),
    answer(bash("timeout 8 /opt/gantry/node --test --watch || true")),
    answer(todo(3)),
    answer(say("Everything works. Shall I commit it?")),
  ],
  commit: [
    answer(
      say("I put everything into one commit. "),
      bash("git init -q && git add -A && git -c user.name=Ada -c user.email=ada@example.com commit -qm 'World clock'"),
    ),
    answer(say("It is committed.")),
  ],
};

/** @returns undefined where no prompt of the story is in the conversation */
export function story({ said }: Conversation): Reply | undefined {
  const named = (text: string) => entries.find(([, prompt]) => text.includes(prompt))?.[0];
  const entries = Object.entries(PROMPTS) as [keyof typeof PROMPTS, string][];
  const at = said.findLastIndex(({ role, text }) => role === "user" && named(text) !== undefined);
  const name = named(said[at]?.text ?? "");
  return name && (ANSWERS[name][turnsOf(said.slice(at + 1))] ?? answer(say("Done.")));
}
