/** The runner's command line as data. */
import path from "node:path";
import { parseArgs } from "node:util";

export type RunnerOptions = {
  /** Unix socket on which the API answers. */
  socketPath: string;
  /** Folder of the spools and grants. */
  spoolDir: string;
  /** The host's egress proxy; absent: no way out. */
  egressSocketPath?: string;
  /** Folder of the agent CLIs, see executor-host/toolkit. */
  toolkitDir: string;
  /** Extra environment for the agent CLIs, which otherwise inherit next to nothing. */
  childEnv: Readonly<Record<string, string>>;
};

export const USAGE =
  "usage: runner --socket PATH --spool DIR [--egress-socket PATH] [--toolkit DIR] [--env NAME=VALUE]…";

/** @throws Error with a sentence for the operator when the arguments do not make sense */
export function parseOptions(args: readonly string[], defaultToolkitDir: string): RunnerOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      socket: { type: "string" },
      spool: { type: "string" },
      "egress-socket": { type: "string" },
      toolkit: { type: "string" },
      env: { type: "string", multiple: true },
    },
  });
  if (!values.socket || !values.spool) throw new Error("--socket and --spool are needed");
  return {
    socketPath: path.resolve(values.socket),
    spoolDir: path.resolve(values.spool),
    egressSocketPath: values["egress-socket"] && path.resolve(values["egress-socket"]),
    toolkitDir: path.resolve(values.toolkit ?? defaultToolkitDir),
    childEnv: Object.fromEntries((values.env ?? []).map(parseAssignment)),
  };
}

function parseAssignment(text: string): [string, string] {
  const match = /^([A-Za-z_][A-Za-z0-9_]*)=([\s\S]*)$/.exec(text);
  if (!match) throw new Error(`--env wants NAME=VALUE, not ${text.split("=")[0]}`);
  return [match[1] ?? "", match[2] ?? ""];
}
