/** A cancel among everything that can happen to a run, in every order: the decisions alone. (test/faults has real sockets.) */
import { expect, test } from "vitest";
import type { FromHostData } from "#protocol/messages.ts";
import { deadlineName, type SessionCommand } from "../../../durable/session/commands.ts";
import { HOST_ID, SESSION_ID, SessionScript } from "../../support/session-script.ts";

const REQUEST = `req_${SESSION_ID.slice(4)}-0000000001`;
const OTHER_HOST = "hst_bbbbbbbbbbbbbbbbbbbb";

type Act = (script: SessionScript, runId: string) => SessionCommand;
/** Acts of one chain happen in their order; chains happen in all orders among each other. */
type Chains = readonly (readonly string[])[];

const said =
  (epoch: number, message: (runId: string) => FromHostData): Act =>
  (_script, runId) => ({ type: "host_message", epoch, message: message(runId) });
const ended = (outcome: "succeeded" | "cancelled") => (runId: string) =>
  ({ type: "run.events", runId, events: [{ type: "run.finished", data: { outcome } }] }) satisfies FromHostData;

const ACTS: Record<string, Act> = {
  cancel: (_script, runId) => ({ type: "stop", runId }),
  accept: said(1, (runId) => ({ type: "run.accepted", runId })),
  start: said(1, (runId) => ({ type: "run.started", runId })),
  complete: said(1, ended("succeeded")),
  abort: said(1, (runId) => ({ type: "run.aborted", runId, reason: "container_failed", evidence: "gone" })),
  lose: () => ({ type: "lease_lost", epoch: 1, reason: "silent" }),
  grant: () => ({ type: "lease_granted", hostId: OTHER_HOST, epoch: 2 }),
  "start again": said(2, (runId) => ({ type: "run.started", runId })),
  "complete again": said(2, ended("succeeded")),
  park: (_script, runId) => ({ type: "deadline", name: deadlineName.park(runId) }),
  "worker ends": said(1, ended("cancelled")),
  "worker is gone": said(1, () => ({ type: "worker.status", state: "stopped" })),
  answer: () => ({ type: "reply", reply: { requestId: REQUEST, decision: "allow", scope: "once" } }),
  "time is up": (_script, runId) => ({ type: "deadline", name: deadlineName.cancel(runId) }),
};

test.each<[string, "queued" | "assigned" | "waiting", Chains, number]>([
  [
    "start and completion, loss and retry",
    "assigned",
    [["cancel"], ["accept", "start", "complete"], ["lose", "grant", "start again", "complete again"]],
    280,
  ],
  [
    "a worker that fails and the attempt after it",
    "assigned",
    [
      ["cancel", "time is up"],
      ["accept", "abort"],
      ["grant", "start again", "complete again"],
    ],
    210,
  ],
  [
    "parking, its worker's end, the answer and the next part",
    "waiting",
    [["cancel"], ["park", "worker ends", "worker is gone"], ["answer"], ["grant", "start again", "complete again"]],
    1_120,
  ],
  [
    "parking, the loss of its host and a deadline that is late",
    "waiting",
    [["cancel", "time is up"], ["park"], ["lose", "grant"], ["answer"], ["complete"]],
    1_260,
  ],
  ["a queue that nobody serves", "queued", [["cancel", "time is up"], ["grant"], ["lose"]], 12],
])("[S-6] [S-8] [S-9] [S-10] a cancel among %s (from %s)", (_what, from, chains, count) => {
  const orders = interleaved(chains);
  expect(orders).toHaveLength(count);
  for (const order of orders) expect(flawsOf(from, order), order.join(", ")).toEqual([]);
});

function flawsOf(from: "queued" | "assigned" | "waiting", order: readonly string[]): string[] {
  const { script, runId } = SessionScript.withRun(from, { retryOn: ["host_lost"] });
  if (from === "waiting")
    script.runner(runId, { type: "run.status", data: { state: "waiting", conversationId: "talk" } });
  const flaws: string[] = [];
  let cancelled = false;
  for (const name of order) {
    const before = script.run(runId).state;
    const decision = script.try(ACTS[name]?.(script, runId) as SessionCommand);
    if (name === "cancel" && before !== "finished") {
      cancelled = true;
      if (!decision.ok) flaws.push(`the cancel of a run that is ${before} was refused: ${decision.reason}`);
    }
  }
  toTheEnd(script, runId);
  const mine = script.log.filter((event) => event.runId === runId);
  const ends = mine.filter(({ type }) => type === "run.finished");
  if (ends.length !== 1) flaws.push(`${ends.length} ends`);
  const [end] = ends;
  if (cancelled && end?.type === "run.finished" && end.data.outcome !== "cancelled")
    flaws.push(`it was cancelled and is ${end.data.outcome}`);
  if (mine.slice(mine.findIndex(({ type }) => type === "run.finished") + 1).some(({ type }) => type.startsWith("run.")))
    flaws.push("it went on after its end");
  if (script.view.pending.length > 0) flaws.push("a request is open");
  const own = [...script.deadlines.keys()].filter((name) => name.endsWith(runId));
  if (own.length > 0) flaws.push(`deadlines are left: ${own}`);
  return flaws;
}

/** Nothing more happens by chance: people answer, hosts do as they are told, deadlines come. */
function toTheEnd(script: SessionScript, runId: string): void {
  for (let turn = 0; turn < 12; turn++) {
    const run = script.run(runId);
    if (run.state === "finished") return;
    const [asked] = script.view.pending;
    const { epoch, worker } = script.view;
    if (asked) script.try({ type: "reply", reply: { requestId: asked.requestId, decision: "allow", scope: "once" } });
    if (run.state === "queued" && worker.state !== "cold" && worker.state !== "stopped")
      script.try({ type: "host_message", epoch, message: { type: "worker.status", state: "stopped" } });
    if (run.state === "queued") script.try({ type: "lease_granted", hostId: HOST_ID, epoch: epoch + 1 });
    const message = (body: FromHostData) =>
      script.try({ type: "host_message", epoch: script.view.epoch, message: body });
    if (run.state === "assigned" || run.state === "preparing") message({ type: "run.started", runId });
    if (run.state === "running" || run.state === "waiting") message(ended("succeeded")(runId));
    if (run.state === "cancelling") script.try({ type: "deadline", name: deadlineName.cancel(runId) });
  }
}

function interleaved(chains: Chains): string[][] {
  const open = chains.filter((chain) => chain.length > 0);
  if (open.length === 0) return [[]];
  return open.flatMap((chain) =>
    interleaved(open.map((each) => (each === chain ? each.slice(1) : each))).map((rest) => [chain[0] ?? "", ...rest]),
  );
}
