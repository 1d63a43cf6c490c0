/** What stands in an app's form, and the app that it makes. Pure. */
import type { NetworkMode, Provider, VmMode } from "#protocol/vocabulary.ts";
import type { AppRecord, NewApp } from "./app-queries.ts";

/** An empty string: left to whoever starts a run, or to the organisation. */
export type AppDraft = {
  name: string;
  description: string;
  visibility: "organization" | "private";
  vmMode: VmMode | "";
  provider: Provider | "";
  model: string;
  /** Empty: as the agent has it, which is "bypass" in a sealed container. */
  permissionMode: string;
  /** The agent's other options, as the JSON of an object; empty for none. */
  options: string;
  credentialId: string;
  networkPolicy: NetworkMode;
  /** One host a line. */
  allowlist: string;
  runMinutes: string;
  answerMinutes: string;
};

const MINUTE_MS = 60_000;
/** Every run's own limit, in an app's template. */
const ANY = "*";

const minutes = (ms: number | undefined): string => (ms === undefined ? "" : String(ms / MINUTE_MS));
const milliseconds = (text: string): number | undefined => {
  const value = Number(text);
  return text.trim() === "" || !(value > 0) ? undefined : Math.round(value * MINUTE_MS);
};

export function draftOf(app: AppRecord | undefined): AppDraft {
  const defaults = app?.runtimeDefaults;
  return {
    name: app?.name ?? "",
    description: app?.description ?? "",
    visibility: app?.visibility ?? "organization",
    vmMode: app?.vmMode ?? "",
    provider: defaults?.provider ?? "",
    model: defaults?.model ?? "",
    ...optionsDraft(defaults?.providerOptions),
    credentialId: defaults?.credentialId ?? "",
    networkPolicy: defaults?.networkPolicy ?? "providers",
    allowlist: (defaults?.allowlist ?? []).join("\n"),
    runMinutes: minutes(defaults?.timeouts?.[ANY]),
    answerMinutes: minutes(defaults?.humanLoopTimeoutMs),
  };
}

function optionsDraft(options: Readonly<Record<string, unknown>> = {}): Pick<AppDraft, "permissionMode" | "options"> {
  const { permissionMode, ...others } = options;
  if (typeof permissionMode !== "string") return { permissionMode: "", options: jsonOf(options) };
  return { permissionMode, options: jsonOf(others) };
}

const jsonOf = (options: object): string => (Object.keys(options).length === 0 ? "" : JSON.stringify(options, null, 2));

/** What the options' text means; undefined when it is no object in JSON. */
export function optionsOf({
  permissionMode,
  options,
}: Pick<AppDraft, "permissionMode" | "options">): Record<string, unknown> | undefined {
  const mode = permissionMode === "" ? {} : { permissionMode };
  if (options.trim() === "") return mode;
  try {
    const parsed: unknown = JSON.parse(options);
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed) ? { ...parsed, ...mode } : undefined;
  } catch {
    return undefined; // it is being typed
  }
}

/**
 * @param draft one whose options are understood
 * @param before the app as it was: what the form does not show stays as it is
 */
export function appOf(draft: AppDraft, before: AppRecord | undefined): NewApp {
  const { timeouts = {} } = before?.runtimeDefaults ?? {};
  const providerOptions = optionsOf(draft) ?? {};
  const { [ANY]: _shown, ...others } = timeouts;
  const runMs = milliseconds(draft.runMinutes);
  const limits = { ...others, ...(runMs === undefined ? {} : { [ANY]: runMs }) };
  const answerMs = milliseconds(draft.answerMinutes);
  return {
    name: draft.name.trim(),
    description: draft.description.trim(),
    visibility: draft.visibility,
    vmMode: draft.vmMode === "" ? null : draft.vmMode,
    runtimeDefaults: {
      ...(draft.provider === "" ? {} : { provider: draft.provider }),
      ...(draft.model.trim() === "" ? {} : { model: draft.model.trim() }),
      ...(Object.keys(providerOptions).length === 0 ? {} : { providerOptions }),
      ...(draft.credentialId === "" ? {} : { credentialId: draft.credentialId }),
      ...(Object.keys(limits).length === 0 ? {} : { timeouts: limits }),
      ...(answerMs === undefined ? {} : { humanLoopTimeoutMs: answerMs }),
      networkPolicy: draft.networkPolicy,
      allowlist: draft.allowlist.split(/[\s,]+/).filter(Boolean),
    },
  };
}
