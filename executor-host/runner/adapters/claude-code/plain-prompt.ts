/**
 * The provider writes a conversation as text and puts "Human: " before the prompt. With one prompt per run that is only
 * noise to the model, and it hides slash commands (`/compact`, a project's own) from the CLI; so it is taken off on the way
 * to the CLI's standard input, which carries one JSON message a line.
 */
import { Transform } from "node:stream";

const PREFIX = "Human: ";

/** Passes lines through; the first user message loses the prefix. */
export function plainPrompt(): Transform {
  let held = "";
  let done = false;
  return new Transform({
    decodeStrings: false,
    transform(part: Buffer | string, _encoding, callback) {
      if (done) return callback(null, part);
      held += part.toString();
      const end = held.lastIndexOf("\n") + 1;
      const lines = held.slice(0, end).split("\n");
      held = held.slice(end);
      const out = lines.map((line) => {
        const changed = done ? undefined : withoutPrefix(line);
        done ||= changed !== undefined;
        return changed ?? line;
      });
      // Once the prompt has passed there is nothing to look for, and nothing may be held back.
      if (done) out.push(out.pop() + held);
      callback(null, out.join("\n"));
    },
    flush(callback) {
      callback(null, done ? "" : held);
    },
  });
}

type UserLine = { type?: string; message?: { content?: string | { type?: string; text?: string }[] } };

function withoutPrefix(line: string): string | undefined {
  if (!line.includes('"type":"user"')) return undefined;
  const json = JSON.parse(line) as UserLine;
  const { message } = json;
  if (json.type !== "user" || !message) return undefined;
  if (typeof message.content === "string") message.content = strip(message.content);
  else
    for (const block of message.content?.slice(0, 1) ?? [])
      if (block.text !== undefined) block.text = strip(block.text);
  return JSON.stringify(json);
}

function strip(text: string): string {
  return text.startsWith(PREFIX) ? text.slice(PREFIX.length) : text;
}
