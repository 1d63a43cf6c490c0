/** What the scripted provider does with a prompt that is no script: a small job that shows every part of the page. */
import type { TodoStatus } from "#protocol/vocabulary.ts";
import type { AdapterContext } from "../adapter.ts";
import type { Narrator } from "./narrator.ts";
import type { Tools } from "./tools.ts";

const FILE = "hello.md";
const PLAN = ["Read the prompt", `Write ${FILE}`, "Check what is in the workspace"] as const;

export async function doSmallJob(
  prompt: string,
  context: AdapterContext,
  narrator: Narrator,
  tools: Tools,
): Promise<void> {
  showPlan(context, 0);
  narrator.think("There is no script in this prompt and no model behind me, so I do a small job that can be seen.");
  narrator.say("I keep what you wrote in a file and look at the workspace.");
  showPlan(context, 1);
  const text = `# Hello from Gantry\n\nThe prompt of this run was:\n\n${quote(prompt)}\n`;
  await narrator.tool("write", { path: FILE, text }, () => tools.write(FILE, text));
  if (context.signal.aborted) return;
  await narrator.tool("read", { path: FILE }, () => tools.read(FILE));
  showPlan(context, 2);
  if (context.signal.aborted) return;
  const command = "ls -la";
  await narrator.tool("bash", { command }, () => tools.run(command));
  showPlan(context, 3);
  narrator.say(
    [
      `Done: \`${FILE}\` holds your prompt, and the workspace is listed above.`,
      "",
      "This was the **scripted** provider: it follows a script and needs no key. For a real agent, install one on this host " +
        "(the Hosts page shows the command), give the host a key for it, and choose it as the session's provider. " +
        "To see more of what the page can show, send a script, for example:",
      "",
      "```",
      "think about it",
      "todo [x] look; [>] ask; [ ] write",
      "ask question Which colour? | Red | Blue",
      "write colours.txt red and blue",
      "bash cat colours.txt",
      "```",
    ].join("\n"),
  );
}

function showPlan(context: AdapterContext, done: number): void {
  const status = (index: number): TodoStatus =>
    index < done ? "completed" : index === done ? "in_progress" : "pending";
  context.todos(PLAN.map((text, index) => ({ id: String(index + 1), text, status: status(index) })));
}

function quote(text: string): string {
  return text
    .split("\n")
    .map((line) => `> ${line}`)
    .join("\n");
}
