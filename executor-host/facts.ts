/** What this host says of itself: gathered anew at every connection and every minute, because engines come and go. */
import { arch, platform, release } from "node:os";
import type { HostFacts } from "#protocol/messages.ts";
import type { VmMode } from "#protocol/vocabulary.ts";
import type { HostIdentity, Settings } from "./config.ts";
import type { WorkerEngine } from "./container/port.ts";
import type { ImageState } from "./worker-image.ts";

/** The daemon's own version, as in package.json. */
export const HOST_VERSION = "0.1.0";

/** What the wire takes of a sentence; an engine's own words have no end. */
const NOTE_CHARS = 1_000;

export type ModeState = { vmMode: VmMode } & (
  | { ok: true; version: string }
  /** `stays`: the engine is there and lacks something that may come by itself, an image or room on the disk. */
  | { ok: false; reason: string; fix: string; stays?: true }
);
export type Providers = HostFacts["providers"];

export type FactsNeeds = {
  identity: HostIdentity;
  settings: Settings;
  engines: readonly WorkerEngine[];
  /** Of the engines that need one. `wait`: this host has nothing else to offer. */
  image(how: { wait: boolean }): Promise<ImageState>;
  providers(): Promise<Providers>;
  draining(): boolean;
  /** Why nothing may begin here, although the engines would. */
  obstacle?(): { reason: string; fix: string } | undefined;
};

export type GatheredFacts = { facts: HostFacts; modes: ModeState[] };

/**
 * Asks the engines and the toolkit. A draining host offers no slot. A host that cannot start any worker says why with
 * each provider (`environment_not_ready`), because that is where a person reads why a run waits.
 */
export async function gatherFacts(needs: FactsNeeds): Promise<GatheredFacts> {
  const { identity, settings } = needs;
  const [modes, providers] = await Promise.all([gatherModes(needs), needs.providers()]);
  const able = modes.filter((mode) => mode.ok);
  // An engine that stays still has its mode; what keeps it from work is said with the providers.
  const named = able.length > 0 ? able : modes.filter((mode) => !mode.ok && mode.stays);
  const facts: HostFacts = {
    name: identity.name,
    version: HOST_VERSION,
    platform: `${platform()} ${release()} ${arch()}`.slice(0, 100),
    vmModes: named.map(({ vmMode }) => vmMode),
    providers: able.length > 0 ? providers : unready(providers, modes),
    labels: identity.labels,
    slots: needs.draining() ? 0 : settings.slots,
  };
  return { facts, modes };
}

async function gatherModes({ engines, image, obstacle }: FactsNeeds): Promise<ModeState[]> {
  const states = await Promise.all(
    engines.map(async (engine): Promise<ModeState> => ({ vmMode: engine.vmMode, ...(await engine.available()) })),
  );
  const inTheWay = obstacle?.();
  if (inTheWay)
    return states.map((state) => (state.ok ? { vmMode: state.vmMode, ok: false, ...inTheWay, stays: true } : state));
  const needsImage = (vmMode: VmMode) => engines.some((engine) => engine.vmMode === vmMode && engine.images);
  const running = states.filter(({ ok }) => ok);
  if (!running.some(({ vmMode }) => needsImage(vmMode))) return states;
  const found = await image({ wait: running.every(({ vmMode }) => needsImage(vmMode)) });
  if (found.ok) return states;
  const { reason, fix } = found;
  return states.map((state) =>
    state.ok && needsImage(state.vmMode) ? { vmMode: state.vmMode, ok: false, reason, fix, stays: true } : state,
  );
}

/** What would be ready, if only a worker could be started. */
function unready(providers: Providers, modes: readonly ModeState[]): Providers {
  const unable = modes.filter((mode) => !mode.ok);
  const first = unable.find(({ stays }) => stays) ?? unable[0];
  const { reason, fix } = first ?? { reason: "This host has no engine.", fix: "gantry host doctor" };
  const blocked = { state: "environment_not_ready", reason: reason.slice(0, NOTE_CHARS), fix } as const;
  return Object.fromEntries(
    Object.entries(providers).map(([provider, readiness]) => [
      provider,
      readiness.state === "ready" ? { ...readiness, ...blocked } : readiness,
    ]),
  );
}
