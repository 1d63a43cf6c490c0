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
    credentialId: defaults?.credentialId ?? "",
    networkPolicy: defaults?.networkPolicy ?? "providers",
    allowlist: (defaults?.allowlist ?? []).join("\n"),
    runMinutes: minutes(defaults?.timeouts?.[ANY]),
    answerMinutes: minutes(defaults?.humanLoopTimeoutMs),
  };
}

/** @param before the app as it was: what the form does not show stays as it is */
export function appOf(draft: AppDraft, before: AppRecord | undefined): NewApp {
  const { providerOptions, timeouts = {} } = before?.runtimeDefaults ?? {};
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
      ...(providerOptions === undefined ? {} : { providerOptions }),
      ...(draft.credentialId === "" ? {} : { credentialId: draft.credentialId }),
      ...(Object.keys(limits).length === 0 ? {} : { timeouts: limits }),
      ...(answerMs === undefined ? {} : { humanLoopTimeoutMs: answerMs }),
      networkPolicy: draft.networkPolicy,
      allowlist: draft.allowlist.split(/[\s,]+/).filter(Boolean),
    },
  };
}
