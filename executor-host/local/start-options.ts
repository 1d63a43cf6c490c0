/** The command line of `npm start`. */
import { parseArgs } from "node:util";
import { inRepository } from "./repository.ts";

export type StartOptions = {
  /** Undefined: the one of the last start, else 8787, else the next free one. */
  port: number | undefined;
  stateDir: string;
  open: boolean;
  json: boolean;
  hostSlots: number | undefined;
};

export const startUsage = `npm start -- [--port N] [--state DIR] [--no-open] [--json] [--host-slots N]

  --port N         the port on 127.0.0.1 (default: 8787, or the next that is free)
  --state DIR      where everything is kept (default: .gantry in the checkout)
  --no-open        do not open the portal in a browser
  --json           one line of JSON on standard output when it is ready to take a prompt
  --host-slots N   how many sessions may run at once`;

/** @throws Error for people when the command line is wrong */
export function parseStartOptions(args: string[], env: NodeJS.ProcessEnv): StartOptions {
  const { values } = parseArgs({
    args,
    allowNegative: true,
    options: {
      port: { type: "string" },
      state: { type: "string" },
      open: { type: "boolean", default: true },
      json: { type: "boolean", default: false },
      "host-slots": { type: "string" },
    },
  });
  const unattended = values.json || env.CI !== undefined || !process.stdout.isTTY;
  return {
    port: numberFrom("--port", values.port, 0, 65_535),
    stateDir: values.state ?? inRepository(".gantry"),
    open: values.open && !unattended,
    json: values.json,
    hostSlots: numberFrom("--host-slots", values["host-slots"], 1, 1_000),
  };
}

function numberFrom(flag: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new Error(`${flag} has to be a whole number from ${min} to ${max}, not "${text}"`);
  }
  return value;
}
