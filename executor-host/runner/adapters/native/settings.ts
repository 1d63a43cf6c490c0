/** `providerOptions` of this agent. An allow-list: everything here is safe to be chosen by whoever may start a run. */
import { chosenOptions, type OptionReaders } from "../chosen-options.ts";

/**
 * How freely the agent works. `bypass` is the default, because the container around it is sealed; `ask` sends every command
 * and every change to the people of the session; `acceptEdits` only the commands.
 */
const PERMISSION_MODES = ["bypass", "ask", "acceptEdits"] as const;
export type PermissionMode = (typeof PERMISSION_MODES)[number];

const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const;

export type NativeSettings = {
  permissionMode: PermissionMode;
  effort?: (typeof EFFORTS)[number];
  appendSystemPrompt?: string;
  /** Calls of the model in one run. */
  maxTurns: number;
  /** Tries again after an answer that says "later". */
  maxRetries: number;
};

const DEFAULTS: NativeSettings = { permissionMode: "bypass", maxTurns: 200, maxRetries: 2 };

const READERS: OptionReaders<NativeSettings> = {
  permissionMode: (value) => {
    const permissionMode = PERMISSION_MODES.find((mode) => mode === value);
    return permissionMode && { permissionMode };
  },
  effort: (value) => {
    const effort = EFFORTS.find((effort) => effort === value);
    return effort && { effort };
  },
  appendSystemPrompt: (value) => (typeof value === "string" ? { appendSystemPrompt: value } : undefined),
  maxTurns: (value) => (isWhole(value, 1, 1_000) ? { maxTurns: value } : undefined),
  maxRetries: (value) => (isWhole(value, 0, 10) ? { maxRetries: value } : undefined),
  // Read by the session, which puts it into the order's own field.
  timeoutMs: () => ({}),
};

/** The settings that the options ask for, and the names of options that were not understood. */
export function readOptions(options: Readonly<Record<string, unknown>> | undefined): {
  settings: NativeSettings;
  ignored: string[];
} {
  const { settings, ignored } = chosenOptions(READERS, options);
  return { settings: { ...DEFAULTS, ...settings }, ignored };
}

function isWhole(value: unknown, from: number, to: number): value is number {
  return Number.isInteger(value) && Number(value) >= from && Number(value) <= to;
}
