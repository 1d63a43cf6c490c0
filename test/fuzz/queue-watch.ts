/**
 * Whether each offer was right to be made (F-8, F-13, F-17, F-18), from the pool's tables as they are after a happening and
 * as they were before it. Where what happened in between cannot be told, nothing is said.
 */
import type { LeaseRequest } from "#protocol/objects.ts";
import type { World } from "./world.ts";

type Entry = { request: LeaseRequest; place: number; refusedBy: ReadonlySet<string> };
type Offer = { sessionId: string; hostId: string; epoch: number; runId: string };
type Seen = { queue: Map<string, Entry>; offers: Map<string, Offer>; turns: Map<string, number> };

export class QueueWatch {
  readonly #world: World;
  #before: Seen;

  constructor(world: World) {
    this.#world = world;
    this.#before = { queue: new Map(), offers: new Map(), turns: new Map() };
  }

  /** The pool has changed. */
  look(): void {
    const before = this.#before;
    const now = this.#read();
    this.#before = now;
    const made = [...now.offers.values()].filter(
      ({ sessionId, epoch }) => before.offers.get(sessionId)?.epoch !== epoch,
    );
    for (const offer of made) {
      const entry = now.queue.get(offer.runId) ?? before.queue.get(offer.runId);
      if (!entry) continue;
      this.#fits(offer, entry);
      const served = made
        .filter((other) => other !== offer)
        .map(({ runId }) => before.queue.get(runId)?.request.requestedBy);
      for (const waiting of before.queue.values()) {
        const { sessionId, runId, requestedBy } = waiting.request;
        const stayed = now.queue.get(runId);
        const free = !before.offers.has(sessionId) && !now.offers.has(sessionId);
        if (stayed && free && !served.includes(requestedBy)) this.#inTurn(offer, entry, waiting, before.turns);
      }
    }
  }

  /** The host may have it, now. */
  #fits({ hostId, runId }: Offer, { request }: Entry): void {
    const { fleet, agenda } = this.#world;
    const broken = (rule: string, what: string) =>
      this.#world.violation(rule, `${runId} was offered to ${hostId}, ${what}`);
    const [host] = fleet.disk.rows<{ draining: number }>("SELECT draining FROM host WHERE host_id = ?", hostId);
    if (host?.draining) broken("F-13", "which is draining");
    if (!this.#hasLabels(hostId, request)) broken("F-8", `which has not ${JSON.stringify(request.labels)}`);
    if ((request.notBefore ?? 0) > agenda.now) broken("F-18", `${(request.notBefore ?? 0) - agenda.now} ms too early`);
  }

  /** Nobody who could have had that slot should have had it first. */
  #inTurn({ hostId, runId }: Offer, served: Entry, waiting: Entry, turns: Map<string, number>): void {
    const { request } = waiting;
    const could =
      !waiting.refusedBy.has(hostId) &&
      (request.notBefore ?? 0) < this.#world.agenda.now &&
      this.#hasLabels(hostId, request);
    if (!could) return;
    const ahead = (request.priority ?? 0) - (served.request.priority ?? 0);
    const other = request.requestedBy !== served.request.requestedBy;
    const turnOf = ({ request: { requestedBy } }: Entry) => turns.get(requestedBy) ?? 0;
    const first =
      other && turnOf(waiting) !== turnOf(served) ? turnOf(waiting) < turnOf(served) : waiting.place < served.place;
    if (ahead > 0 || (ahead === 0 && first))
      this.#world.violation("F-17", `${runId} got ${hostId} before ${request.runId}, whose turn it was`);
  }

  #hasLabels(hostId: string, { labels = {} }: LeaseRequest): boolean {
    const own: Record<string, string> = this.#world.hosts.find(({ id }) => id === hostId)?.labels ?? {};
    return Object.entries(labels).every(([name, value]) => own[name] === value);
  }

  #read(): Seen {
    const { disk } = this.#world.fleet;
    const queue = disk.rows<{ run_id: string; request: string; refused_by: string }>(
      "SELECT run_id, request, refused_by FROM queue ORDER BY enqueued_at, n",
    );
    const leases = disk.rows<{ session_id: string; host_id: string; epoch: number; run_id: string }>(
      "SELECT session_id, host_id, epoch, run_id FROM lease",
    );
    return {
      queue: new Map(
        queue.map(({ run_id, request, refused_by }, place) => [
          run_id,
          {
            request: JSON.parse(request) as LeaseRequest,
            place,
            refusedBy: new Set((JSON.parse(refused_by) as { hostId: string }[]).map(({ hostId }) => hostId)),
          },
        ]),
      ),
      offers: new Map(
        leases.map(({ session_id, host_id, epoch, run_id }) => [
          session_id,
          { sessionId: session_id, hostId: host_id, epoch, runId: run_id },
        ]),
      ),
      turns: new Map(
        disk.rows<{ person: string; n: number }>("SELECT person, n FROM turn").map(({ person, n }) => [person, n]),
      ),
    };
  }
}
