/** What an app's defaults mean for one run. Pure. What the caller says wins. */
import type { RuntimeDefaults } from "#protocol/apps.ts";
import type { StartRunBody } from "#protocol/http.ts";

/**
 * explicit (the run's own limit, then the one in its provider's options) over the template of provider and model
 * over the host's default.
 * @param template by `provider/model`, `provider` or `*`
 * @returns milliseconds; undefined leaves it to the default
 */
export function timeoutOf(run: {
  runTimeoutMs?: number | undefined;
  optionMs?: unknown;
  provider?: string | undefined;
  model?: string | undefined;
  template?: Readonly<Record<string, number>> | undefined;
}): number | undefined {
  const { runTimeoutMs, optionMs, provider, model, template = {} } = run;
  if (runTimeoutMs !== undefined) return runTimeoutMs;
  if (typeof optionMs === "number" && Number.isInteger(optionMs) && optionMs > 0) return optionMs;
  const names = [...(provider && model ? [`${provider}/${model}`] : []), ...(provider ? [provider] : []), "*"];
  const name = names.find((each) => Object.hasOwn(template, each));
  return name === undefined ? undefined : template[name];
}

/** The run with what the app says where the caller said nothing; options one by one. */
export function withDefaults<
  T extends Pick<StartRunBody, "provider" | "model" | "providerOptions" | "runTimeoutMs"> & {
    humanLoopTimeoutMs?: number | undefined;
  },
>(body: T, defaults: RuntimeDefaults | undefined): T {
  if (!defaults) return body;
  const provider = body.provider ?? defaults.provider;
  // A model's name means something to its own provider alone.
  const model = body.model ?? (provider === defaults.provider ? defaults.model : undefined);
  const own = provider === defaults.provider ? defaults.providerOptions : undefined;
  const providerOptions = own || body.providerOptions ? { ...own, ...body.providerOptions } : undefined;
  const explicitMs = body.providerOptions?.timeoutMs;
  const template = defaults.timeouts;
  const runTimeoutMs = timeoutOf({ runTimeoutMs: body.runTimeoutMs, optionMs: explicitMs, provider, model, template });
  const humanLoopTimeoutMs = body.humanLoopTimeoutMs ?? defaults.humanLoopTimeoutMs;
  const limits = { runTimeoutMs, ...(humanLoopTimeoutMs === undefined ? {} : { humanLoopTimeoutMs }) };
  return { ...body, provider, model, providerOptions, ...limits };
}
