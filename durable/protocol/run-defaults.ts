/** What an app's defaults mean for one run. Pure. What the caller says wins, then what the session was made with. */
import type { RuntimeDefaults } from "./apps.ts";
import type { PromptInput } from "./viewer.ts";
import type { Provider } from "./vocabulary.ts";

/**
 * explicit (the run's own limit, then the one in its provider's options) over the template of provider and model
 * over the host's default.
 * @param template by `provider/model`, `provider` or `*`
 * @returns milliseconds; undefined leaves it to the default
 */
export function timeoutOf(run: {
  timeoutMs?: number | undefined;
  optionMs?: unknown;
  provider?: string | undefined;
  model?: string | undefined;
  template?: Readonly<Record<string, number>> | undefined;
}): number | undefined {
  const { timeoutMs, optionMs, provider, model, template = {} } = run;
  if (timeoutMs !== undefined) return timeoutMs;
  if (typeof optionMs === "number" && Number.isInteger(optionMs) && optionMs > 0) return optionMs;
  const names = [...(provider && model ? [`${provider}/${model}`] : []), ...(provider ? [provider] : []), "*"];
  const name = names.find((each) => Object.hasOwn(template, each));
  return name === undefined ? undefined : template[name];
}

type Told = Pick<PromptInput, "provider" | "model" | "providerOptions" | "timeoutMs" | "humanLoopTimeoutMs">;

/**
 * The prompt with what the app says where the caller said nothing; options one by one.
 * @param itsProvider the session's, for a prompt that names none
 */
export function withDefaults<T extends Told>(prompt: T, defaults: RuntimeDefaults, itsProvider: Provider): T {
  const provider = prompt.provider ?? itsProvider;
  // A model's name and a provider's options mean something to their own provider alone.
  const isItsOwn = provider === (defaults.provider ?? itsProvider);
  const model = prompt.model ?? (isItsOwn ? defaults.model : undefined);
  const own = isItsOwn ? defaults.providerOptions : undefined;
  const asked = prompt.providerOptions;
  const explicit = { timeoutMs: prompt.timeoutMs, optionMs: asked?.timeoutMs };
  const limits = {
    timeoutMs:
      timeoutOf({ ...explicit, provider, model, template: defaults.timeouts }) ??
      timeoutOf({ optionMs: own?.timeoutMs }),
    humanLoopTimeoutMs: prompt.humanLoopTimeoutMs ?? defaults.humanLoopTimeoutMs,
  };
  const filled = { model, providerOptions: own || asked ? { ...own, ...asked } : undefined, ...limits };
  // Left out, not undefined, like in any other prompt.
  return { ...prompt, ...Object.fromEntries(Object.entries(filled).filter(([, value]) => value !== undefined)) };
}
