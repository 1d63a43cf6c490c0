/**
 * A small agent of the Agent Client Protocol, as a peer that does odd things on purpose. What it does is the prompt:
 * `noise`, `outside`, `terminal`, `form`, `crash`, `silent`.
 */
import { createInterface } from "node:readline";

const waiting = new Map();
let lastId = 0;
const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const ask = (method, params) =>
  new Promise((resolve) => {
    waiting.set(++lastId, resolve);
    send({ id: lastId, method, params: { sessionId: "s1", ...params } });
  });
const update = (update) => send({ method: "session/update", params: { sessionId: "s1", update } });
const say = (text) => update({ sessionUpdate: "agent_message_chunk", content: { type: "text", text } });
const words = ({ result, error }) => JSON.stringify(result ?? error.message);

const deeds = {
  async noise() {
    process.stdout.write("a log line\n{ half a message\n");
    send({ method: "something/new", params: {} });
    update({ sessionUpdate: "from_the_future", what: 1 });
    update({ sessionUpdate: "agent_message_chunk", content: { type: "hologram" } });
    say(words(await ask("something/unknown", {})));
  },
  async outside() {
    say(words(await ask("fs/read_text_file", { path: "/etc/hostname" })));
    say(words(await ask("fs/write_text_file", { path: "../out.txt", content: "x" })));
    say(words(await ask("terminal/create", { command: "pwd", cwd: "/" })));
    await ask("fs/write_text_file", { path: "in.txt", content: "one\ntwo\n" });
    say(words(await ask("fs/read_text_file", { path: "in.txt", line: 2, limit: 1 })));
  },
  async terminal() {
    const { result } = await ask("terminal/create", { command: "sh", args: ["-c", "echo out; exit 3"] });
    say(words(await ask("terminal/wait_for_exit", result)));
    say(words(await ask("terminal/output", result)));
    await ask("terminal/release", result);
    say(words(await ask("terminal/output", result)));
    await ask("terminal/create", { command: "tail", args: ["-f", "/dev/null"] });
  },
  async form() {
    const properties = {
      sure: { type: "boolean", title: "Sure" },
      many: { type: "array", title: "Many", items: { anyOf: [{ const: "a" }, { const: "b" }] } },
    };
    say(words(await ask("elicitation/create", { mode: "form", message: "Which?", requestedSchema: { properties } })));
  },
  async crash() {
    process.stderr.write("last words of the agent\n");
    process.kill(process.pid, "SIGKILL");
  },
  async silent() {},
  async env() {
    say(JSON.stringify({ url: process.env.MODEL_URL, folder: process.env.FOLDER, secret: process.env.HOST_SECRET }));
  },
};

const methods = {
  initialize: () => ({ protocolVersion: 1, agentCapabilities: {} }),
  "session/new": () => ({ sessionId: "s1" }),
  "session/prompt": async ({ prompt }) => {
    await deeds[prompt[0].text]();
    return { stopReason: "end_turn" };
  },
};

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, method, params, ...answer } = JSON.parse(line);
  if (method === undefined) waiting.get(id)?.(answer);
  else if (id !== undefined) send({ id, result: await methods[method](params) });
});
