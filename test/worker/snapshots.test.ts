/** Snapshots as people see them: the list, pins, quota settings; and nobody else's. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { addCaller, type Caller, firstCaller, otherCaller } from "../support/accounts.ts";
import { sharedWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

let worker: WorkerUnderTest;
let ours: Caller;
let theirs: Caller;
let sessionId: string;
const [kept, given] = ["a".repeat(64), "b".repeat(64)];

beforeAll(async () => {
  worker = await sharedWorker();
  ours = await firstCaller(worker);
  theirs = await otherCaller(worker);
  const { body } = await ours.call<{ session: { id: string } }>("POST", "/api/sessions", { title: "Work" });
  sessionId = body.session.id;
  for (const [at, id] of [kept, given].entries())
    await worker.sql(
      "insert into snapshots (id, organization_id, session_id, files, bytes, created_at, version, pruned_at) values (?,?,?,3,4,?,?,?)",
      id,
      ours.organizationId,
      sessionId,
      1_000 + at,
      10 - at,
      id === given ? 5_000 : null,
    );
}, 180_000);
afterAll(() => worker.close());
const list = async () =>
  (await ours.call<{ snapshots: object[] }>("GET", `/api/sessions/${sessionId}/snapshots`)).body.snapshots;

test("[R-3.6] a snapshot is pinned, shown as pinned, and let go; each is on record", async () => {
  for (let again = 0; again < 2; again++)
    expect(await ours.call("POST", `/api/snapshots/${kept}/pin`)).toMatchObject({
      status: 200,
      body: { pinned: true },
    });
  expect(await list()).toEqual([
    { id: kept, seq: 10, createdAt: 1_000, files: 3, bytes: 4, pinnedBy: expect.any(String) },
    { id: given, seq: 9, createdAt: 1_001, files: 3, bytes: 4, prunedAt: 5_000 },
  ]);
  for (let again = 0; again < 2; again++)
    expect(await ours.call("DELETE", `/api/snapshots/${kept}/pin`)).toMatchObject({
      status: 200,
      body: { pinned: false },
    });
  expect((await list())[0]).not.toHaveProperty("pinnedBy");
  const actions = await worker.sql("select action from audit where target = ? order by id", `${sessionId}@${kept}`);
  expect(actions.map(({ action }) => action)).toEqual([
    "snapshots.pin",
    "snapshots.pin",
    "snapshots.unpin",
    "snapshots.unpin",
  ]);
});

test("one that was given up is not pinned any more", async () => {
  expect(await ours.call("POST", `/api/snapshots/${given}/pin`)).toMatchObject({
    status: 410,
    body: { reason: "gone" },
  });
});

test.each<[string, string, object | undefined, string]>([
  ["GET", `/api/files/tree?sessionId=SES&snapshotId=${given}`, undefined, "files.read"],
  ["GET", `/api/files/download?sessionId=SES&snapshotId=${given}&path=a`, undefined, "files.read"],
  ["GET", `/api/files/diff?sessionId=SES&from=${given}&to=${given}`, undefined, "files.read"],
  ["POST", "/api/sessions/SES/fork", { snapshotId: given }, "sessions.fork"],
])("[R-3.6] [R-8.3] %s %s of one that was given up says so, and is on record", async (method, path, body, action) => {
  const answer = await ours.call(method, path.replace("SES", sessionId), body);
  expect(answer).toMatchObject({
    status: 410,
    body: { reason: "snapshot_pruned", message: expect.stringMatching(/no longer kept/), details: { prunedAt: 5_000 } },
  });
  const [row] = await worker.sql(
    "select action, allowed, reason from audit where organization_id = ? order by id desc limit 1",
    ours.organizationId,
  );
  expect(row).toEqual({ action, allowed: 0, reason: "snapshot_pruned" });
});

test("[R-8.3] a pin that was refused is on record", async () => {
  expect((await ours.call("POST", `/api/snapshots/${given}/pin`)).status).toBe(410);
  expect((await theirs.call("DELETE", `/api/snapshots/${given}/pin`)).status).toBe(404);
  expect(
    await worker.sql(
      "select action, target, allowed, reason from audit where organization_id in (?, ?) order by id desc limit 2",
      ...[ours.organizationId, theirs.organizationId],
    ),
  ).toEqual([
    { action: "snapshots.unpin", target: `@${given}`, allowed: 0, reason: "snapshot_not_found" },
    { action: "snapshots.pin", target: `${sessionId}@${given}`, allowed: 0, reason: "gone" },
  ]);
});

test.each<[string, string, object | undefined]>([
  ["GET", "/api/sessions/SES/snapshots", undefined],
  ["POST", `/api/snapshots/${kept}/pin`, undefined],
  ["DELETE", `/api/snapshots/${kept}/pin`, undefined],
  ["GET", "/api/files/tree?sessionId=SES", undefined],
  ["GET", "/api/files/download?sessionId=SES&path=a", undefined],
  ["GET", "/api/files/snapshots?sessionId=SES", undefined],
  ["GET", `/api/files/diff?sessionId=SES&to=${kept}`, undefined],
  ["POST", "/api/sessions/SES/fork", {}],
])("another organisation's %s %s is not found", async (method, path, body) => {
  const answer = await theirs.call(method, path.replace("SES", sessionId), body);
  expect([answer.status, answer.body.ok]).toEqual([404, false]);
});

test("[R-8.3] a look that was refused is on record with its reason, where the one who looked belongs", async () => {
  const rows = await worker.sql(
    "select allowed, reason from audit where organization_id = ? and action = 'files.read' and target = ?",
    theirs.organizationId,
    sessionId,
  );
  expect(rows.length).toBeGreaterThanOrEqual(5);
  expect(new Set(rows.map(({ allowed, reason }) => `${allowed} ${reason}`))).toEqual(new Set(["0 not_found"]));
});

test("an administrator sets the organisation's quota, a member does not", async () => {
  const member = await addCaller(worker, ours.organizationId, "member");
  const body = { sessionStoreBytes: 1_000_000, organizationStoreBytes: null };
  expect((await member.call("PATCH", "/api/organization", body)).status).toBe(403);
  expect(await ours.call("PATCH", "/api/organization", body)).toMatchObject({
    status: 200,
    body: { organization: { sessionStoreBytes: 1_000_000, organizationStoreBytes: null } },
  });
  expect((await ours.call("PATCH", "/api/organization", { sessionStoreBytes: -1 })).status).toBe(400);
});
