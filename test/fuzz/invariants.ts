/** What has to hold after every step, and what once everything has been well for a while. Rules as in the SPECs. */
import { isDeepStrictEqual } from "node:util";
import { activeRun, queuedRuns } from "#protocol/session-view.ts";
import { deadlineName as fleetDeadline } from "../../durable/fleet/names.ts";
import { deadlineName } from "../../durable/session/commands.ts";
import type { SessionNode } from "./session-node.ts";
import type { World } from "./world.ts";

type LeaseColumns = { session_id: string; host_id: string; epoch: number; state: "offered" | "held" };

/** After every step. Looks closer only where something has changed. */
export function checkStep(world: World): void {
  for (const session of world.sessions) {
    if (!session.awake || !world.ledger.changed(session)) continue;
    world.ledger.readLog(session);
    checkSession(world, session);
  }
  if (world.fleet.awake && world.ledger.changed(world.fleet)) {
    for (const lease of leases(world)) world.ledger.leased(lease.session_id, lease.epoch, lease.host_id);
    world.queueWatch.look();
    checkFleetDeadlines(world);
  }
}

/** As it is stored: without what is undefined, in whatever order it was put together. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function checkSession(world: World, session: SessionNode): void {
  const { view } = session;
  const told = world.ledger.of(session).view;
  if (JSON.stringify(view) !== JSON.stringify(told) && !isDeepStrictEqual(plain(view), plain(told)))
    world.violation("S-3", `${view.id} at ${view.cursor} is not the fold of its log up to ${told.cursor}`);
  const active = told.runs.filter((run) => run.state !== "queued" && run.state !== "finished");
  if (active.length > 1) world.violation("S-5", `${view.id} has ${active.map((run) => run.id).join(" and ")} active`);
  for (const { requestId, runId } of told.pending) {
    const run = told.runs.find((each) => each.id === runId);
    if (!run || run.state === "finished" || run.state === "cancelling")
      world.violation("S-10", `${requestId} is open although ${runId} is ${run?.state ?? "gone"}`);
  }
  for (const run of told.runs)
    if (run.state === "waiting" && run.parked && told.worker.state === "active")
      world.violation("S-40", `${run.id} is parked and keeps its worker`);
  checkDeadlines(world, session);
}

/** Every state that waits has a deadline, and the alarm is not later than the first of them (S-19). */
function checkDeadlines(world: World, session: SessionNode): void {
  const { view } = session;
  const set = new Set(session.disk.rows<{ name: string }>("SELECT name FROM deadline").map(({ name }) => name));
  const needs = (name: string) => {
    if (!set.has(name)) world.violation("S-19", `${view.id} waits without the deadline ${name}`);
  };
  for (const run of view.runs) {
    if (run.state === "queued" && run === queuedRuns(view)[0] && !activeRun(view)) needs(deadlineName.queue(run.id));
    if (run.state === "assigned" || run.state === "preparing") needs(deadlineName.prepare(run.id));
    if (run.state === "running") needs(deadlineName.timeout(run.id));
    if (run.state === "cancelling") needs(deadlineName.cancel(run.id));
    if (run.state === "waiting" && set.has(deadlineName.timeout(run.id)))
      world.violation("S-20", `${run.id} waits for a person while its time runs`);
  }
  if (view.worker.state === "stopping") needs(deadlineName.workerStop);
  if (view.worker.state === "active" && !activeRun(view) && queuedRuns(view).length === 0 && !view.deleted)
    needs(deadlineName.idle);
}

function checkFleetDeadlines(world: World): void {
  const set = new Set(world.fleet.disk.rows<{ name: string }>("SELECT name FROM deadline").map(({ name }) => name));
  for (const { session_id, host_id, state } of leases(world)) {
    if (state === "offered" && !set.has(fleetDeadline.offer(session_id)))
      world.violation("F-11", `the offer of ${session_id} to ${host_id} has no deadline`);
    if (!set.has(fleetDeadline.host(host_id)))
      world.violation("F-3", `${host_id} holds ${session_id} and nobody looks at whether it is there`);
  }
}

function leases(world: World): LeaseColumns[] {
  return world.fleet.disk.rows<LeaseColumns>("SELECT session_id, host_id, epoch, state FROM lease");
}

/** Whether everything that was begun has come to its end. */
export function atRest(world: World): boolean {
  return (
    world.sessions.every(
      (session) =>
        session.view.pending.length === 0 &&
        session.view.runs.every((run) => run.state === "finished") &&
        owed(session) === 0,
    ) && owed(world.fleet) === 0
  );
}

const owed = ({ disk }: { disk: World["fleet"]["disk"] }): number =>
  disk.rows<{ count: number }>("SELECT count(*) AS count FROM outbox")[0]?.count ?? 0;

/** Once faults have stopped and time has passed. */
export function checkEnd(world: World): void {
  for (const session of world.sessions) {
    world.ledger.readLog(session);
    checkSession(world, session);
    const told = world.ledger.of(session);
    for (const [messageId, runId] of told.prompts)
      if (!told.finished.has(runId)) {
        const run = session.view.runs.find((each) => each.id === runId);
        world.violation(
          "S-6",
          `${runId} (${messageId}) never ended; it is ${run?.state}: ${run && "detail" in run ? run.detail : ""}`,
        );
      }
    checkOutbox(world, session.name, session.disk);
    checkLease(world, session);
    checkIndex(world, session);
  }
  checkOutbox(world, "fleet", world.fleet.disk);
  checkDeadLetters(world);
  const queued = world.fleet.disk.rows<{ run_id: string }>("SELECT run_id FROM queue");
  if (queued.length > 0) world.violation("F-12", `the pool still queues ${queued.map((row) => row.run_id).join(", ")}`);
  for (const id of world.ledger.promptsWithoutRun()) world.violation("S-2", `${id} was answered and made no run`);
  for (const run of world.ledger.unheard()) world.violation("P-12", `something that ${run} said is not in the log`);
  for (const page of world.pages) checkPage(world, page);
}

/** What failed with its host or its worker is a dead letter, and nothing else is (S-29, F-19). */
function checkDeadLetters(world: World): void {
  const kept = new Set(
    world.fleet.disk.rows<{ run_id: string }>("SELECT run_id FROM dead_letter").map((row) => row.run_id),
  );
  for (const { view } of world.sessions)
    for (const run of view.runs) {
      const dead =
        run.state === "finished" &&
        run.outcome === "failed" &&
        (run.reason === "host_lost" || run.reason === "container_failed");
      if (dead !== kept.has(run.id))
        world.violation("F-19", `${run.id} is ${dead ? "no" : "a"} dead letter, and ${run.state}`);
    }
}

function checkPage(world: World, page: World["pages"][number]): void {
  const { view, history } = page.session.instance.session;
  if (JSON.stringify(page.view) !== JSON.stringify(view))
    world.violation("P-21", `a page of ${view.id} ends at ${page.view.cursor}, the object at ${view.cursor}`);
  else if (JSON.stringify(page.transcript) !== JSON.stringify(history.transcript()))
    world.violation("P-21", `a page of ${view.id} shows another transcript than the object has`);
}

function checkOutbox(world: World, name: string, disk: World["fleet"]["disk"]): void {
  const left = disk.rows<{ key: string; attempts: number }>("SELECT key, attempts FROM outbox");
  for (const { key, attempts } of left) world.violation("S-4", `${name} still owes ${key} after ${attempts} attempts`);
}

/** Session, pool and host agree on who has the session's worker. */
function checkLease(world: World, session: SessionNode): void {
  const { view } = session;
  const { worker } = view;
  const lease = leases(world).find((each) => each.session_id === view.id);
  const held = worker.state === "starting" || worker.state === "active" || worker.state === "stopping";
  const believes = held ? `${worker.hostId}/${view.epoch}` : "nobody";
  const gave = lease ? `${lease.host_id}/${lease.epoch}` : "nobody";
  if (believes !== gave)
    world.violation("F-1", `${view.id} believes its worker is with ${believes}, the pool says ${gave}`);
  for (const host of world.hosts) {
    const own = host.lease(view.id);
    if (own && gave !== `${host.id}/${own.epoch}`)
      world.violation("F-6", `${host.id} believes in epoch ${own.epoch} of ${view.id}, the pool gave it to ${gave}`);
    if (!own && lease?.host_id === host.id)
      world.violation("F-6", `${host.id} knows nothing of its lease ${lease.epoch} of ${view.id}`);
  }
}

/** The index has what the object knows (S-4). */
function checkIndex(world: World, session: SessionNode): void {
  const rows = world.database.rows<{ id: string; state: string; outcome: string | null }>(
    "SELECT id, state, outcome FROM runs WHERE session_id = ?",
    session.sessionId,
  );
  for (const run of session.view.runs) {
    const row = rows.find((each) => each.id === run.id);
    const outcome = run.state === "finished" ? run.outcome : null;
    if (row?.state !== run.state || (row.outcome ?? null) !== outcome)
      world.violation(
        "S-4",
        `the index has ${run.id} as ${row?.state}/${row?.outcome}, the session as ${run.state}/${outcome}`,
      );
  }
}
