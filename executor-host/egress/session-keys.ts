/**
 * What one session's way out rests on: the app's network policy and the credentials that were delivered for its lease.
 * Asked for when the worker first wants out, and again when a minute has passed or somebody said that it changed; so a
 * rotated or revoked key stops being used within that minute even if that word is lost. Held in memory only.
 */
import type { Logger } from "../logs.ts";
import type { Delivery } from "./control-credentials.ts";
import { DeliveryRefused } from "./control-credentials.ts";
import { type OwnKey, type Settings, type UpstreamTable, upstreamsFrom } from "./credentials.ts";
import { type NetworkPolicy, narrowed } from "./policy.ts";

/** How long a delivery counts without asking again. */
const FRESH_MS = 60_000;
/** After an answer that did not come. */
const RETRY_MS = 5_000;
/** A control plane that cannot be reached must not end a run that goes on; one that is away longer has revoked whatever it liked. */
const USABLE_MS = 15 * 60_000;

export type SessionKeysNeeds = {
  deliver(used: readonly string[]): Promise<Delivery>;
  /** The operator's own keys and addresses: what counts where nothing was delivered. */
  settings: Settings;
  /** What the operator told this host to use, read anew at each request. */
  own?: () => readonly OwnKey[];
  /** The operator's own policy, when there is one: for a session without app, and the most that an app gets. */
  operatorPolicy: NetworkPolicy | undefined;
  now(): number;
  logger: Logger;
};

export class SessionKeys {
  readonly #needs: SessionKeysNeeds;
  #upstreams: () => UpstreamTable;
  #policy: NetworkPolicy;
  #deliveredAt: number | undefined;
  #stale = true;
  #failedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;
  readonly #used = new Set<string>();
  #reportedAt = Number.NEGATIVE_INFINITY;

  constructor(needs: SessionKeysNeeds) {
    this.#needs = needs;
    this.#upstreams = () => upstreamsFrom(needs.settings);
    this.#policy = { mode: "none" };
  }

  policy(): NetworkPolicy {
    return this.#policy;
  }

  upstreams(): UpstreamTable {
    return this.#upstreams();
  }

  /** Somebody said that it changed: the next request asks first. */
  changed(): void {
    this.#stale = true;
  }

  used(credentialId: string): void {
    this.#used.add(credentialId);
    if (this.#needs.now() - this.#reportedAt < FRESH_MS) return;
    this.#reportedAt = this.#needs.now();
    void this.#ask();
  }

  /** Before each request. False: nobody knows what this session may do, so it may do nothing yet. */
  async ready(): Promise<boolean> {
    const now = this.#needs.now();
    const old = this.#stale || this.#deliveredAt === undefined || now - this.#deliveredAt >= FRESH_MS;
    // Nobody waits for an answer each time while there is something to go on with.
    if (old && (this.#deliveredAt === undefined || now - this.#failedAt >= RETRY_MS)) {
      this.#asking ??= this.#ask().finally(() => {
        this.#asking = undefined;
      });
      await this.#asking;
    }
    return this.#deliveredAt !== undefined && this.#needs.now() - this.#deliveredAt < USABLE_MS;
  }

  /** Tells what was used since the last time it asked. */
  async close(): Promise<void> {
    if (this.#used.size > 0) await this.#ask();
    this.#forget();
  }

  async #ask(): Promise<void> {
    const used = [...this.#used];
    this.#stale = false;
    try {
      const { policy, credentials } = await this.#needs.deliver(used);
      for (const id of used) this.#used.delete(id);
      const { operatorPolicy = policy ? { mode: "open" } : { mode: "providers" } } = this.#needs;
      this.#policy = policy ? narrowed(policy, operatorPolicy) : operatorPolicy;
      const { settings, own = () => [] } = this.#needs;
      this.#upstreams = () => upstreamsFrom(settings, credentials, own());
      this.#deliveredAt = this.#needs.now();
    } catch (error) {
      this.#needs.logger.warn(
        { why: error instanceof Error ? error.message : "unknown" },
        "no credentials were delivered",
      );
      if (error instanceof DeliveryRefused) this.#forget();
      else {
        this.#failedAt = this.#needs.now();
        this.#stale = true;
      }
    }
  }

  #forget(): void {
    this.#deliveredAt = undefined;
    this.#policy = { mode: "none" };
    this.#upstreams = () => upstreamsFrom({});
  }
}
