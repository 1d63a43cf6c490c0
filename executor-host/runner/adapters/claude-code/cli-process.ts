/** The CLI as a process that the Agent SDK drives over its pipes, started by the run, so that the run can end it. */
import type { SpawnedProcess, SpawnOptions } from "ai-sdk-provider-claude-code";
import type { AdapterContext } from "../adapter.ts";
import { plainPrompt } from "./plain-prompt.ts";

export type CliProcess = {
  spawn: (options: SpawnOptions) => SpawnedProcess;
  /** The last words on its standard error. */
  stderrTail: () => string;
};

const STDERR_BYTES = 4_000;

export function createCliProcess(cwd: string, env: Record<string, string>, context: AdapterContext): CliProcess {
  let tail = Buffer.alloc(0);
  return {
    stderrTail: () => tail.toString("utf8").trim(),
    spawn({ command, args, env: sdkEnv }) {
      const child = context.spawn(command, args, {
        cwd,
        env: { ...addedBySdk(sdkEnv), ...env },
        stdio: ["pipe", "pipe", "pipe"],
      });
      const { stdin, stdout, stderr } = child;
      if (!stdin || !stdout) throw new Error("the CLI was started without pipes");
      stderr?.on("data", (part: Buffer) => {
        tail = Buffer.concat([tail, part]).subarray(-STDERR_BYTES);
      });
      const prompt = plainPrompt();
      prompt.pipe(stdin);
      // The CLI left while it was written to; its exit says why, and the SDK listens to that.
      stdin.on("error", () => prompt.destroy());
      return {
        stdin: prompt,
        stdout,
        get killed() {
          return child.killed;
        },
        get exitCode() {
          return child.exitCode;
        },
        get signalCode() {
          return child.signalCode;
        },
        kill: (signal) => child.kill(signal),
        on: (event: "exit" | "error", listener: never) => void child.on(event, listener),
        once: (event: "exit" | "error", listener: never) => void child.once(event, listener),
        off: (event: "exit" | "error", listener: never) => void child.off(event, listener),
      };
    },
  };
}

/** What the Agent SDK adds for its CLI; everything else it hands over comes from the runner's own environment. */
function addedBySdk(env: SpawnOptions["env"]): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !(name in process.env)));
}
