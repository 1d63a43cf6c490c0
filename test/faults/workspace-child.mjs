/**
 * A process that syncs and restores, to be killed. One JSON on a line of its input is one piece of work, `{ verb, killAt, input }`;
 * the line it answers with is `{ result, calls }` or `{ failed }`. Needs the preload `kill-at-call.mjs`.
 */
import { createInterface } from "node:readline";
import { restoreWorkspace } from "../../executor-host/workspace/restore.ts";
import { syncWorkspace } from "../../executor-host/workspace/sync.ts";
import { arm, calls } from "./kill-at-call.mjs";

for await (const line of createInterface({ input: process.stdin })) {
  const { verb, killAt, input } = JSON.parse(line);
  const { epoch, url, ...rest } = input;
  const whole = { ...rest, store: { url, epoch, token: () => "token" } };
  arm(killAt);
  try {
    const result = await (verb === "sync" ? syncWorkspace(whole) : restoreWorkspace(whole));
    console.log(JSON.stringify({ result, calls: calls() }));
  } catch (error) {
    console.log(JSON.stringify({ failed: String(error?.stack ?? error) }));
  }
}
process.exit(0);
