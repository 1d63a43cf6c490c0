/** A host whose lease is another's now. Each thing it may still try is refused, it learns why, and nothing is stored. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { FromHostData } from "#protocol/messages.ts";
import { accepted, finished, forgetLeases, type Mouth, numbered, Offers, Pool } from "../../faults/pool.ts";
import type { Page } from "../../support/live-session.ts";
import type { ScriptedLink } from "../../support/scripted-host.ts";
import { sharedControlPlane } from "../../support/shared-control-plane.ts";

let pool: Pool;
const offers = new Offers();
beforeAll(async () => {
  Pool.start = sharedControlPlane;
  pool = await Pool.open();
  for (const name of ["a", "b"]) offers.follow(await pool.host({ name }));
});
afterAll(async () => pool?.dispose());

/** The old holder, whose run had started, and the new one, who was told to start it again. */
let old: Mouth;
let holder: Mouth;
let page: Page;
let runId: string;
let sessionId: string;
/** Where the log stood when everybody had heard of the new lease. */
let cursor: number;

beforeEach(async () => {
  ({ page, runId, sessionId } = await pool.asked({ retryOn: ["host_lost"] }));
  old = await accepted(await offers.next(sessionId));
  await old.told({ type: "run.started", runId });
  await old.told({ type: "run.events", runId, events: [numbered(1)] });
  await forgetLeases(old.host, offers);
  holder = await accepted(await offers.next(sessionId));
  await holder.link.message("run.start");
  await holder.told({ type: "run.accepted", runId });
  await page.until("the new attempt", (view) => view.runs[0]?.state === "preparing");
  cursor = page.view.cursor;
});

const epochs = () => ({ stale: old.assignment.epoch, current: holder.assignment.epoch });

/** The log has grown by the new holder's own word and nothing else, and the run is still its. */
async function nothingHappened(): Promise<void> {
  await holder.told({ type: "run.started", runId });
  await page.until("the new holder's start", (view) => view.runs[0]?.state === "running");
  expect(page.view.cursor).toBe(cursor + 1);
  expect(page.view.epoch).toBe(epochs().current);
  expect(page.view.runs[0]).toMatchObject({ state: "running", hostId: holder.host.id, attempt: 2 });
  expect(JSON.stringify(page.events)).not.toContain("#999#");
  page.close();
}

/** Dials with the old epoch and says everything in one go, without waiting for any answer. */
async function saysAtOnce(message: FromHostData): Promise<ScriptedLink> {
  const link = await old.host.dial(old.assignment);
  link.frame({ type: "auth", token: old.host.token, protocol: 1, epoch: epochs().stale });
  link.frame({ type: "resume", received: 0 });
  // Whatever number the session may expect next: one of them fits.
  for (let n = 1; n <= 4; n++) link.frame({ n, ack: 0, message });
  return link;
}

describe("the data link", () => {
  test("[P-10] [S-13] the open one is closed with the current epoch as its reason", async () => {
    expect(epochs().current).toBeGreaterThan(epochs().stale);
    const closed = await old.link.closed;
    expect(closed.code).toBe(4412);
    // The lease was over before anybody else had it: the epoch that was current then.
    expect(closed.reason).toBe(`the lease is over; the current epoch is ${epochs().stale}`);
    await nothingHappened();
  });

  test.each<[string, () => FromHostData]>([
    ["an event", () => ({ type: "run.events", runId, events: [numbered(999)] })],
    ["a completion", () => ({ type: "run.events", runId, events: [finished] })],
    ["the failure of the run", () => ({ type: "run.aborted", runId, reason: "container_failed", evidence: "#999#" })],
    ["the worker's end", () => ({ type: "worker.status", state: "stopped" })],
    ["a failed sync", () => ({ type: "sync.failed", reason: "#999#", attempt: 1 })],
  ])(
    "[P-10] [S-13] %s under the old epoch: 4412 with the current one, and nothing is stored",
    async (_what, message) => {
      const link = await saysAtOnce(message());
      expect(await link.closed).toEqual({ code: 4412, reason: `the current epoch is ${epochs().current}` });
      // Not one frame of it was answered, as if it had been taken.
      expect(link.frames).toEqual([]);
      await nothingHappened();
    },
  );

  test("[P-10] the current epoch in the mouth of a host that has not the lease", async () => {
    const link = await old.host.dial(old.assignment);
    link.frame({ type: "auth", token: old.host.token, protocol: 1, epoch: epochs().current });
    const { code, reason } = await link.closed;
    expect({ code, reason }).toEqual({
      code: 4412,
      reason: `this host has no lease; the current epoch is ${epochs().current}`,
    });
    await nothingHappened();
  });
});

describe("the control link", () => {
  const revoked = (reason: string) => ({ type: "lease.revoked", sessionId, epoch: epochs().stale, reason });

  test("[F-6] [F-5] a lease that it believes in is revoked", async () => {
    const { control } = old.host;
    const facts = control.send({
      type: "facts",
      facts: old.host.facts(),
      leases: [{ sessionId, epoch: epochs().stale }],
    });
    expect(await nextRevoked(control)).toEqual(revoked("another host has the session, or it was given up"));
    await control.acknowledged(facts);
    await nothingHappened();
  });

  test("[F-5] accepting, rejecting and releasing under the old epoch move nothing", async () => {
    const { control } = old.host;
    const lease = { sessionId, epoch: epochs().stale };
    control.send({ type: "lease.release", ...lease });
    control.send({ type: "assign.reject", ...lease, reason: "late" });
    control.send({ type: "assign.accept", ...lease });
    expect(await nextRevoked(control)).toEqual(revoked("the offer has passed"));
    await nothingHappened();
    expect((await holder.link.frames).some(({ type }) => type === "error")).toBe(false);
    expect(holder.link.socket.readyState).toBe(holder.link.socket.OPEN);
  });

  /** The loss itself was told before; here it is about what was said since. */
  async function nextRevoked(control: ScriptedLink): Promise<unknown> {
    const { message } = await control.next(({ message: said }) => {
      const { type, reason = "" } = (said ?? {}) as { type?: string; reason?: string };
      return type === "lease.revoked" && !reason.startsWith("The host came back");
    });
    return message;
  }
});

describe("the store", () => {
  const PACK = new TextEncoder().encode("a pack that nobody should keep");
  const hash = createHash("sha256").update(PACK).digest("hex");
  const call = async (mouth: Mouth, method: string, path: string, body?: string | Uint8Array<ArrayBuffer>) => {
    const url = new URL(`${mouth.assignment.storeUrl}/${path}`, pool.plane.url);
    url.searchParams.set("epoch", String(mouth.assignment.epoch));
    const headers: Record<string, string> = { authorization: `Bearer ${mouth.host.token}` };
    if (path === "packs/missing") headers["content-type"] = "application/json";
    const response = await fetch(url, { method, headers, ...(body !== undefined && { body }) });
    return { status: response.status, body: (await response.json()) as { reason?: string; message?: string } };
  };

  test.each<[string, string, string, string | Uint8Array<ArrayBuffer>]>([
    ["asking what is missing", "POST", "packs/missing", JSON.stringify({ packs: [hash] })],
    ["a pack", "PUT", `packs/${hash}`, PACK],
    ["the commit of a snapshot", "POST", "snapshots", "manifest"],
  ])(
    "[S-17] [P-10] %s under the old epoch: 409 stale_epoch, and nothing is stored",
    async (_what, method, path, body) => {
      expect(await call(old, method, path, body)).toMatchObject({
        status: 409,
        body: {
          ok: false,
          reason: "stale_epoch",
          message: `This host has no lease of this session; the current epoch is ${epochs().current}.`,
        },
      });
      // The holder is asked what the store lacks: all of it.
      const missing = await call(holder, "POST", "packs/missing", JSON.stringify({ packs: [hash] }));
      expect(missing).toMatchObject({ status: 200, body: { missing: [hash] } });
      expect(page.view.workspace.snapshotId).toBeUndefined();
      await nothingHappened();
    },
  );

  test("[S-17] the holder itself under an epoch that is over is refused, too", async () => {
    const { assignment } = holder;
    const late = Object.assign(Object.create(Object.getPrototypeOf(holder)), holder, {
      assignment: { ...assignment, epoch: epochs().stale },
    }) as Mouth;
    expect(await call(late, "POST", "snapshots", "manifest")).toMatchObject({
      status: 409,
      body: { reason: "stale_epoch", message: `The current epoch is ${epochs().current}.` },
    });
    await nothingHappened();
  });
});
