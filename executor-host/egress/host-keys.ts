/** The keys of this host's sessions: opens each session's way out, and knows which providers could be paid for. */
import type { CredentialKind } from "#protocol/vocabulary.ts";
import type { Clock } from "../clock.ts";
import { type Environment, type StatePaths, sessionPaths } from "../config.ts";
import { workerUser } from "../container/container-spec.ts";
import { ownKeys } from "../local-credentials/read.ts";
import type { Logger } from "../logs.ts";
import type { HostNeeds } from "../needs.ts";
import { networkPolicyFrom } from "../network-policy.ts";
import { type ControlCredentials, type ControlCredentialsNeeds, controlCredentials } from "./control-credentials.ts";
import { type OwnKey, type UpstreamTable, upstreamsFrom, withKinds } from "./credentials.ts";
import { fenced } from "./fence.ts";
import type { NetworkPolicy } from "./policy.ts";
import { startEgressProxy } from "./proxy.ts";
import { SessionKeys } from "./session-keys.ts";

/** The pool is told of changes; this is for a word that was lost. */
const KINDS_EVERY_MS = 5 * 60_000;

export type HostKeysNeeds = ControlCredentialsNeeds & {
  paths: StatePaths;
  env: Environment;
  clock: Clock;
  logger: Logger;
  /** Another set of providers can be paid for now. */
  kindsChanged(): void;
};

export class HostKeys {
  readonly #needs: HostKeysNeeds;
  readonly #control: ControlCredentials;
  readonly #operatorPolicy: NetworkPolicy | undefined;
  readonly #open = new Set<SessionKeys>();
  #kinds: readonly CredentialKind[] = [];
  #kindsAskedAt = Number.NEGATIVE_INFINITY;

  /** @throws Error when GANTRY_NETWORK says something that is no policy */
  constructor(needs: HostKeysNeeds) {
    this.#needs = needs;
    this.#control = controlCredentials(needs);
    this.#operatorPolicy = networkPolicyFrom(needs.env.GANTRY_NETWORK);
  }

  /** For readiness: what is known now. What the control plane has is asked for meanwhile, and a change is told. */
  upstreams(): UpstreamTable {
    if (this.#needs.clock.now() - this.#kindsAskedAt >= KINDS_EVERY_MS) void this.#askKinds();
    return withKinds(upstreamsFrom(this.#needs.env, [], this.#own()), this.#kinds);
  }

  /** Live sessions ask anew before their next request. */
  changed(): void {
    for (const keys of this.#open) keys.changed();
    this.#kindsAskedAt = Number.NEGATIVE_INFINITY;
  }

  async openEgress(...[lease, provider]: Parameters<HostNeeds["openEgress"]>) {
    const { sessionId, epoch, traceId } = lease;
    if (this.#operatorPolicy?.mode === "none") return undefined;
    const { paths, env, clock, logger } = this.#needs;
    const dir = sessionPaths(paths, sessionId).egress;
    const log = logger.child({ component: "egress", traceId });
    const keys = new SessionKeys({
      deliver: (used) => this.#control.deliver({ sessionId, epoch }, used),
      settings: env,
      own: () => this.#own(),
      operatorPolicy: this.#operatorPolicy,
      now: () => clock.now(),
      logger: log.child({ sessionId }),
    });
    const proxy = await startEgressProxy({
      sessionId,
      egressDir: dir,
      owner: workerUser(),
      policy: () => keys.policy(),
      upstreams: () => fenced(keys.upstreams(), provider()),
      ready: () => keys.ready(),
      used: (id) => keys.used(id),
      log,
    });
    this.#open.add(keys);
    const close = async () => {
      this.#open.delete(keys);
      await proxy.close();
      await keys.close();
    };
    return { dir, close };
  }

  #own(): OwnKey[] {
    const { paths, env, clock } = this.#needs;
    return ownKeys(paths, env, clock.now());
  }

  async #askKinds(): Promise<void> {
    const { clock, logger } = this.#needs;
    const before = this.#kinds;
    this.#kindsAskedAt = clock.now();
    try {
      this.#kinds = await this.#control.kinds();
    } catch (error) {
      // The next facts, a minute from now at the latest, ask again.
      this.#kindsAskedAt = Number.NEGATIVE_INFINITY;
      logger.info({ why: error instanceof Error ? error.message : "unknown" }, "kinds of credentials are not known");
      return;
    }
    if (this.#kinds.join() !== before.join()) this.#needs.kindsChanged();
  }
}
