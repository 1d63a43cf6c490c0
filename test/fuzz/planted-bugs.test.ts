/** Each invariant against a bug that is planted for it: a checker that cannot fail checks nothing. */
import { afterEach, expect, test, vi } from "vitest";
import type { NewEvent } from "#protocol/events.ts";
import { fromHostData } from "#protocol/messages.ts";
import type { SessionView } from "#protocol/session-view.ts";
import { ControlSockets } from "../../durable/fleet/control-sockets.ts";
import { Fleet } from "../../durable/fleet/fleet.ts";
import { FleetStore } from "../../durable/fleet/fleet-store.ts";
import { RunQueue } from "../../durable/fleet/run-queue.ts";
import { Checkpoint } from "../../durable/session/checkpoint.ts";
import type { Asked, Decision, SessionCommand } from "../../durable/session/commands.ts";
import type * as decideModule from "../../durable/session/decide.ts";
import type * as logModule from "../../durable/session/event-log.ts";
import { History } from "../../durable/session/history.ts";
import { Hub } from "../../durable/session/hub.ts";
import type * as reactModule from "../../durable/session/react.ts";
import type { Effect } from "../../durable/session/react.ts";
import { Receipts } from "../../durable/session/receipts.ts";
import { Deadlines } from "../../durable/shell/deadlines.ts";
import { LinkStore } from "../../durable/shell/link-store.ts";
import { Outbox } from "../../durable/shell/outbox.ts";
import { Dial } from "./dial.ts";
import { planOf } from "./plan.ts";
import { simulate } from "./simulate.ts";

type Planted = {
  decide?: (decision: Decision, view: SessionView, command: SessionCommand, asked: Asked) => Decision;
  command?: (command: SessionCommand, view: SessionView) => SessionCommand;
  react?: (effects: Effect[]) => Effect[];
  skipNumber?: boolean;
};
const planted = vi.hoisted(() => ({}) as Planted);

vi.mock("../../durable/session/decide.ts", async (original) => {
  const real = await original<typeof decideModule>();
  const decide: typeof real.decide = (view, command, asked) => {
    const changed = planted.command?.(command, view) ?? command;
    const decision = real.decide(view, changed, asked);
    return planted.decide?.(decision, view, changed, asked) ?? decision;
  };
  return { ...real, decide };
});
vi.mock("../../durable/session/react.ts", async (original) => {
  const real = await original<typeof reactModule>();
  const react: typeof real.react = (...given) => planted.react?.(real.react(...given)) ?? real.react(...given);
  return { ...real, react };
});
vi.mock("../../durable/session/event-log.ts", async (original) => {
  const real = await original<typeof logModule>();
  const numbered: typeof real.numbered = (events, envelope) =>
    real.numbered(
      events,
      planted.skipNumber && events.length > 2 ? { ...envelope, after: envelope.after + 1 } : envelope,
    );
  return { ...real, numbered };
});

afterEach(() => {
  for (const key of Object.keys(planted) as (keyof Planted)[]) delete planted[key];
  vi.restoreAllMocks();
});

/** Changes the events of decisions about one kind of command. */
function events(type: SessionCommand["type"], change: (events: NewEvent[], view: SessionView) => NewEvent[]): void {
  planted.decide = (decision, view, command) =>
    command.type === type && decision.ok ? { ok: true, events: change(decision.events, view) } : decision;
}

/** Leaves out what a method would be told under such a name. */
function deaf<T extends object>(prototype: T, method: keyof T & string, ignores: (name: string) => boolean): void {
  const real = prototype[method] as unknown as (...given: unknown[]) => unknown;
  vi.spyOn(prototype as Record<string, (...given: unknown[]) => unknown>, method).mockImplementation(function (
    this: T,
    ...given
  ) {
    return ignores(String(given[0])) ? undefined : real.apply(this, given);
  });
}

/** The pool does not know this of the requests in its queue. */
function forgetful(what: "labels" | "priority" | "notBefore"): void {
  const { list } = RunQueue.prototype;
  vi.spyOn(RunQueue.prototype, "list").mockImplementation(function (this: RunQueue) {
    return list
      .call(this)
      .map(({ request: { [what]: _forgotten, ...request }, ...waiting }) => ({ ...waiting, request }));
  });
}

const plant = (bug: Planted): void => void Object.assign(planted, bug);

const without =
  (type: Effect["type"], name = "") =>
  (effects: Effect[]): Effect[] =>
    effects.filter((effect) => effect.type !== type || !("name" in effect ? effect.name : "").startsWith(name));

/** The rule that has to notice, the bug, how it is planted. */
const BUGS: [rule: string, bug: string, plant: () => void][] = [
  ["S-1", "a number is left out", () => plant({ skipNumber: true })],
  ["S-2", "receipts are forgotten", () => void vi.spyOn(Receipts.prototype, "find").mockReturnValue(undefined)],
  [
    "S-3",
    "a wake forgets something",
    () => {
      const { load } = Checkpoint.prototype;
      vi.spyOn(Checkpoint.prototype, "load").mockImplementation(function (this: Checkpoint, log) {
        const known = load.call(this, log);
        return known && { ...known, view: { ...known.view, todos: { runId: "forgotten", items: [] } } };
      });
    },
  ],
  [
    "S-4",
    "runs are not brought to the index",
    () => deaf(Outbox.prototype, "put", (key) => key.startsWith("index/run")),
  ],
  [
    "S-5",
    "a follow-up does not wait",
    () =>
      events("prompt", (all, view) => {
        const [prompted] = all;
        const busy = view.runs.some((run) => run.state === "running");
        if (!busy || !prompted || !("hostId" in view.worker)) return all;
        return [
          prompted,
          { type: "run.status", runId: prompted.runId, data: { state: "assigned", hostId: view.worker.hostId } },
        ];
      }),
  ],
  [
    "S-6",
    "an end is told twice",
    () => events("host_message", (all) => [...all, ...all.filter(({ type }) => type === "run.finished")]),
  ],
  ["S-6", "a lost host is nobody's concern", () => events("lease_lost", () => [])],
  [
    "S-7",
    "a run goes back",
    () =>
      events("host_message", (all) =>
        all.map((event) =>
          event.type === "run.status" && event.data.state === "waiting"
            ? { ...event, data: { ...event.data, state: "preparing" } }
            : event,
        ),
      ),
  ],
  [
    "S-9",
    "a cancelled run succeeds",
    () =>
      events("host_message", (all, view) =>
        all.map((event) =>
          event.type === "run.finished" && view.runs.some((run) => run.id === event.runId && run.state === "cancelling")
            ? { ...event, data: { outcome: "succeeded" } }
            : event,
        ),
      ),
  ],
  [
    "S-10",
    "questions stay open",
    () => events("stop", (all) => all.filter(({ type }) => type !== "human_loop.resolved")),
  ],
  [
    "S-11",
    "the second answer counts, too",
    () => {
      planted.decide = (decision, view, command) => {
        if (command.type !== "reply" || decision.ok || decision.reason !== "already_answered") return decision;
        const { requestId, decision: answer } = command.reply;
        return {
          ok: true,
          events: [{ type: "human_loop.resolved", runId: view.runs[0]?.id, data: { requestId, decision: answer } }],
        };
      };
    },
  ],
  [
    "S-13",
    "a host whose lease is over is believed",
    () => {
      plant({
        react: (effects) => effects.filter((effect) => effect.type !== "reset_link" || effect.epoch !== undefined),
      });
      plant({
        decide: (decision, view, command) =>
          command.type === "host_message" && view.worker.state === "cold"
            ? { ok: true, events: [{ type: "workspace.sync_failed", data: { reason: "late", attempt: 1 } }] }
            : decision,
      });
    },
  ],
  [
    "S-14",
    "a run is handed out again as the same attempt",
    () =>
      events("lease_lost", (all) =>
        all.map((event) =>
          event.type === "run.status" && event.data.attempt
            ? { ...event, data: { ...event.data, attempt: event.data.attempt - 1 } }
            : event,
        ),
      ),
  ],
  [
    "S-24",
    "hosts begin before the session knows",
    () => void vi.spyOn(Dial.prototype, "drained", "get").mockReturnValue(true),
  ],
  [
    "S-17",
    "anybody's snapshot counts",
    () => {
      planted.decide = (decision, _view, command) => {
        if (command.type !== "snapshot_committed" || decision.ok) return decision;
        const { snapshotId, files, bytesSent } = command.commit;
        return { ok: true, events: [{ type: "workspace.synced", data: { snapshotId, files, bytesSent } }] };
      };
    },
  ],
  ["S-19", "a cancel has no deadline", () => plant({ react: without("set_deadline", "cancel:") })],
  ["S-19", "a run that is queued again has no deadline", () => plant({ react: without("set_deadline", "queue:") })],
  ["S-20", "time runs while a person is asked", () => plant({ react: without("clear_deadline", "timeout:") })],
  ["F-1", "a session is not told of its loss", () => deaf(Outbox.prototype, "put", (key) => key.startsWith("lost/"))],
  [
    "F-2",
    "an epoch is given twice",
    () => void vi.spyOn(FleetStore.prototype, "nextEpoch").mockImplementation((_session, last) => Math.max(1, last)),
  ],
  [
    "F-3",
    "nobody looks at a host's silence",
    () => deaf(Deadlines.prototype, "set", (name) => name.startsWith("host:")),
  ],
  [
    "F-6",
    "a host that forgot its lease keeps it",
    () => {
      const { fromHost } = Fleet.prototype;
      vi.spyOn(Fleet.prototype, "fromHost").mockImplementation(function (
        this: Fleet,
        hostId,
        message: Parameters<Fleet["fromHost"]>[1],
      ) {
        if (message.type !== "facts") return fromHost.call(this, hostId, message);
        const leases = this.leasesToYield().filter((lease) => lease.hostId === hostId);
        return fromHost.call(this, hostId, { ...message, leases });
      });
    },
  ],
  [
    "F-19",
    "a run that failed for good is forgotten",
    () => deaf(Outbox.prototype, "put", (key) => key.startsWith("fleet/dead/")),
  ],
  [
    "F-19",
    "a dead letter is redriven as often as it is asked for",
    () => deaf(Receipts.prototype, "find", (id) => id.startsWith("redrive:")),
  ],
  ["F-8", "labels are not looked at", () => forgetful("labels")],
  ["F-17", "priorities are not looked at", () => forgetful("priority")],
  [
    "F-17",
    "whoever comes first is served first",
    () => void vi.spyOn(RunQueue.prototype, "lastTurns").mockReturnValue(new Map()),
  ],
  ["F-18", "the next attempt is made at once", () => forgetful("notBefore")],
  [
    "F-13",
    "a draining host gets work",
    () => {
      const { candidates } = FleetStore.prototype;
      vi.spyOn(FleetStore.prototype, "candidates").mockImplementation(function (this: FleetStore, isConnected) {
        return candidates.call(this, isConnected).map((host) => ({ ...host, draining: false }));
      });
    },
  ],
  [
    "S-40",
    "parking keeps the worker",
    () => {
      planted.decide = (decision) =>
        decision.ok && decision.events.some((event) => event.type === "run.status" && event.data.parked)
          ? { ok: true, events: decision.events.filter(({ type }) => type !== "worker.status") }
          : decision;
    },
  ],
  [
    "S-41",
    "the part after parking is not told the answer",
    () =>
      plant({
        react: (effects) =>
          effects.map((effect) =>
            effect.type === "send_host" && effect.message.type === "run.start"
              ? { ...effect, message: { ...effect.message, run: { ...effect.message.run, given: [] } } }
              : effect,
          ),
      }),
  ],
  ["F-11", "an offer waits for ever", () => deaf(Deadlines.prototype, "set", (name) => name.startsWith("offer:"))],
  [
    "F-12",
    "what is served stays in the queue",
    () => {
      vi.spyOn(RunQueue.prototype, "remove").mockReturnValue();
      vi.spyOn(RunQueue.prototype, "removeServed").mockReturnValue();
    },
  ],
  [
    "P-12",
    "what a host says is acknowledged before it is taken",
    () => {
      let count = 0;
      const { arrived } = LinkStore.prototype;
      vi.spyOn(LinkStore.prototype, "arrived").mockImplementation(function (this: LinkStore, peer, n) {
        const verdict = arrived.call(this, peer, n);
        if (verdict === "take" && peer === "host" && ++count % 5 === 0) {
          this.took(peer, n, "not-stored");
          return "duplicate";
        }
        return verdict;
      });
    },
  ],
  ["P-13", "what was seen is taken again", () => void vi.spyOn(LinkStore.prototype, "arrived").mockReturnValue("take")],
  [
    "P-15",
    "a message is not understood",
    () => {
      const real = fromHostData.safeParse.bind(fromHostData);
      vi.spyOn(fromHostData, "safeParse").mockImplementation((raw) =>
        real((raw as { type: string }).type === "run.started" ? {} : raw),
      );
    },
  ],
  [
    "P-19",
    "a host that was silent is told not to come back",
    () => {
      const { closeAll } = ControlSockets.prototype;
      vi.spyOn(ControlSockets.prototype, "closeAll").mockImplementation(function (this: ControlSockets, hostId) {
        closeAll.call(this, hostId, "replaced" as "gone", "planted");
      });
    },
  ],
  [
    "P-21",
    "readers are fed holes",
    () => {
      let count = 0;
      const { broadcast } = Hub.prototype;
      vi.spyOn(Hub.prototype, "broadcast").mockImplementation(function (this: Hub, told, text) {
        if (++count % 7 > 0) broadcast.call(this, told, text);
      });
    },
  ],
  [
    "P-21",
    "what a run has said is put away as if the run were over",
    () => {
      const { foldFinished } = History.prototype;
      vi.spyOn(History.prototype, "foldFinished").mockImplementation(function (this: History) {
        foldFinished.call(this, () => true);
      });
    },
  ],
  [
    "defect",
    "a deadline throws",
    () =>
      void vi.spyOn(Fleet.prototype, "deadline").mockImplementation(() => {
        throw new Error("planted");
      }),
  ],
];

const SEEDS = 300;
/** Worlds in which these bugs are noticed, found by trying them in order: where one is not any more, others are tried. */
const FIRST_SEEDS: Record<string, number> = {
  "a lost host is nobody's concern": 6,
  "a host whose lease is over is believed": 24,
  "a run is handed out again as the same attempt": 9,
  "hosts begin before the session knows": 114,
  "anybody's snapshot counts": 116,
  "a host that forgot its lease keeps it": 20,
  "a run that failed for good is forgotten": 3,
  "a dead letter is redriven as often as it is asked for": 93,
  "priorities are not looked at": 57,
  "whoever comes first is served first": 66,
  "a draining host gets work": 39,
  "parking keeps the worker": 97,
  "the part after parking is not told the answer": 97,
  "what was seen is taken again": 6,
};

test.each(BUGS)("[%s] notices: %s", { timeout: 120_000 }, async (rule, bug, plantIt) => {
  plantIt();
  const noticed = new Set<string>();
  const { [bug]: first = 1 } = FIRST_SEEDS;
  for (const seed of [first, ...Array.from({ length: SEEDS }, (_, index) => index + 1)]) {
    if (noticed.has(rule)) break;
    const outcome = await simulate(`planted-${seed}`, planOf(`planted-${seed}`, 30));
    for (const violation of outcome.violations) noticed.add(violation.rule);
  }
  expect([...noticed]).toContain(rule);
});
