/** What happens to one session's requests: each is decided, handed over, counted and logged. */
import { Agent, type IncomingMessage, type ServerResponse } from "node:http";
import { Agent as SecureAgent } from "node:https";
import type { Duplex, Writable } from "node:stream";
import type { UpstreamTable } from "./credentials.ts";
import { forward } from "./forward.ts";
import { decideConnect, decideHttp, type NetworkPolicy } from "./policy.ts";
import { busyRefusal, deniedRefusal, refuse, refuseConnect, unknownRefusal, unreadyRefusal } from "./refusals.ts";
import { realNetwork, type TunnelNeeds, tunnel } from "./tunnel.ts";

/** Who is told of each request. A pino logger is one. */
export type EgressLog = {
  info: (line: EgressLine, message: string) => void;
  /** A defect of ours. */
  error: (line: { component: "egress"; sessionId: string; error: string }, message: string) => void;
};
/** What is known of one request. Holds no header, no query and no body. */
export type EgressLine = {
  component: "egress";
  sessionId: string;
  method: string;
  /** `/provider/<name>/…` without its query, or the `host:port` of a CONNECT; cut at 200 characters. */
  target: string;
  outcome: "completed" | "client_gone" | "upstream_failed" | "denied" | "unready" | "busy" | "defect";
  rule?: string;
  error?: string;
  status?: number;
  bytesUp: number;
  bytesDown: number;
  durationMs: number;
};

export type EgressStats = {
  requests: number;
  refused: number;
  failed: number;
  active: number;
  bytesUp: number;
  bytesDown: number;
};

export type ExitsOptions = {
  sessionId: string;
  /** Asked anew at every request, so that changed settings reach a live session. */
  policy: () => NetworkPolicy;
  upstreams: () => UpstreamTable;
  /** Awaited before each request. False: it is not known yet what this session may do. */
  ready?: () => Promise<boolean>;
  /** A request is sent with this delivered credential. */
  used?: (credentialId: string) => void;
  log: EgressLog;
  /** Requests and tunnels under way at once; more are answered 503. */
  maxConcurrent?: number;
  network?: TunnelNeeds;
};

/** How a request ended, as those who handled it know it. */
type End = Pick<EgressLine, "outcome"> & Partial<EgressLine>;

export class Exits {
  readonly stats: EgressStats = { requests: 0, refused: 0, failed: 0, active: 0, bytesUp: 0, bytesDown: 0 };
  readonly maxConcurrent: number;
  readonly #options: ExitsOptions;
  readonly #agents = { "http:": new Agent({ keepAlive: true }), "https:": new SecureAgent({ keepAlive: true }) };
  readonly #tunnels = new Set<Duplex>();

  constructor(options: ExitsOptions) {
    this.#options = options;
    this.maxConcurrent = options.maxConcurrent ?? 64;
  }

  http(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = "", url: target = "" } = incoming;
    return this.#account(method, target.replace(/\?.*$/s, ""), outgoing, async () => {
      if (this.#busy()) {
        refuse(outgoing, busyRefusal(this.maxConcurrent));
        return { outcome: "busy", status: 503 };
      }
      if (!(await this.#ready())) {
        refuse(outgoing, unknownRefusal());
        return { outcome: "unready", rule: "not_delivered", status: 503 };
      }
      const decision = decideHttp(this.#options.policy(), this.#options.upstreams(), method, target);
      switch (decision.kind) {
        case "denied":
          refuse(outgoing, deniedRefusal(decision));
          return { outcome: "denied", rule: decision.rule, status: 403 };
        case "unready":
          refuse(outgoing, unreadyRefusal(decision.upstream));
          return { outcome: "unready", rule: decision.upstream.reason, status: 401 };
        case "forward": {
          const agent = this.#agents[decision.url.protocol === "https:" ? "https:" : "http:"];
          const traffic = { bytesUp: 0, bytesDown: 0 };
          const { credentialId } = decision.upstream;
          if (credentialId !== undefined) this.#options.used?.(credentialId);
          const result = await forward(decision, incoming, outgoing, agent, traffic);
          return { ...result, ...traffic, status: outgoing.statusCode };
        }
        default:
          return decision satisfies never;
      }
    });
  }

  connect({ url: target = "" }: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    client.on("error", () => client.destroy());
    return this.#account("CONNECT", target, client, async () => {
      if (this.#busy()) {
        refuseConnect(client, busyRefusal(this.maxConcurrent));
        return { outcome: "busy", status: 503 };
      }
      if (!(await this.#ready())) {
        refuseConnect(client, unknownRefusal());
        return { outcome: "unready", rule: "not_delivered", status: 503 };
      }
      const decision = decideConnect(this.#options.policy(), target);
      if (decision.kind === "denied") {
        refuseConnect(client, deniedRefusal(decision));
        return { outcome: "denied", rule: decision.rule, status: 403 };
      }
      this.#tunnels.add(client);
      client.once("close", () => this.#tunnels.delete(client));
      const traffic = { bytesUp: 0, bytesDown: 0 };
      const result = await tunnel(decision, client, head, this.#options.network ?? realNetwork, traffic);
      if (result.outcome === "denied") return { outcome: "denied", rule: result.denial.rule, status: 403 };
      return { ...result, ...traffic };
    });
  }

  destroy(): void {
    for (const client of this.#tunnels) client.destroy();
    for (const agent of Object.values(this.#agents)) agent.destroy();
  }

  async #ready(): Promise<boolean> {
    return (await this.#options.ready?.()) ?? true;
  }

  /** The request that asks is among those under way. */
  #busy(): boolean {
    return this.stats.active > this.maxConcurrent;
  }

  /** Counts and logs one request. A defect of ours costs that request, not the daemon. */
  async #account(method: string, target: string, stream: Writable, act: () => Promise<End>): Promise<void> {
    const { sessionId, log } = this.#options;
    const startedAt = performance.now();
    this.stats.requests += 1;
    this.stats.active += 1;
    let end: End = { outcome: "defect" };
    try {
      end = await act();
    } catch (error) {
      stream.destroy();
      log.error({ component: "egress", sessionId, error: placeOf(error) }, "egress defect");
    }
    const { bytesUp = 0, bytesDown = 0 } = end;
    this.stats.active -= 1;
    this.stats.bytesUp += bytesUp;
    this.stats.bytesDown += bytesDown;
    if (end.outcome === "denied" || end.outcome === "unready" || end.outcome === "busy") this.stats.refused += 1;
    if (end.outcome === "upstream_failed" || end.outcome === "defect") this.stats.failed += 1;
    const durationMs = Math.round(performance.now() - startedAt);
    const known = { component: "egress", sessionId, method, target: target.slice(0, 200) } as const;
    log.info({ ...known, ...end, bytesUp, bytesDown, durationMs }, "egress");
  }
}

/** Name and stack of an error without its message, which may quote a header. */
function placeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  return [error.name, ...(error.stack ?? "").split("\n    at ").slice(1, 4)].join(" < ");
}
