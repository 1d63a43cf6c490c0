/** Whether this host takes an offered session. Pure; the one place that decides to take work. */
import type { Assignment } from "#protocol/messages.ts";
import type { VmMode } from "#protocol/vocabulary.ts";

export type OfferContext = {
  draining: boolean;
  slots: number;
  vmModes: readonly VmMode[];
  /** Why nothing new may begin here. */
  obstacle?: string | undefined;
  /** Leases that this host holds, the offered session's own included. */
  held: readonly { sessionId: string; epoch: number }[];
};

/** `again`: the offer of a lease that is already held; it is accepted again and nothing else happens. */
export type OfferDecision = { accept: true; again: boolean } | { accept: false; reason: string };

export function decideOffer({ sessionId, epoch, vmMode }: Assignment, context: OfferContext): OfferDecision {
  const own = context.held.find((lease) => lease.sessionId === sessionId);
  if (own?.epoch === epoch) return { accept: true, again: true };
  if (own && own.epoch > epoch)
    return { accept: false, reason: `epoch ${epoch} is older than ${own.epoch}, held here` };
  if (context.draining) return { accept: false, reason: "this host is draining" };
  if (context.obstacle !== undefined) return { accept: false, reason: context.obstacle };
  if (!context.vmModes.includes(vmMode)) return { accept: false, reason: `this host cannot start ${vmMode} workers` };
  const others = context.held.length - (own ? 1 : 0);
  if (others >= context.slots) return { accept: false, reason: `all ${context.slots} slots are taken` };
  return { accept: true, again: false };
}
