import { afterAll, beforeAll, expect, test } from "vitest";
import { addCaller, bootstrap, firstCaller, otherCaller, ownerCookie } from "../support/accounts.ts";
import { sha256 } from "../support/organization.ts";
import { startWithWrangler, type WranglersWorker } from "../support/worker-under-test.ts";

let worker: WranglersWorker;
beforeAll(async () => {
  worker = await startWithWrangler();
}, 180_000);
afterAll(() => worker.close());

test("the sweep takes what has expired, and leaves late-comers something to be told", async () => {
  const day = 24 * 60 * 60_000;
  const now = Date.now();
  const live = await ownerCookie(worker);
  const old = await ownerCookie(worker);
  await worker.sql(
    "update browser_sessions set expires_at = ? where token_hash = ?",
    now - 1,
    sha256(old.split("=")[1] ?? ""),
  );
  const [yesterday, lately] = await Promise.all([bootstrap(worker, ["joinToken"]), bootstrap(worker, ["joinToken"])]);
  const expire = async ({ signInUrl, joinToken }: { signInUrl: string; joinToken: string }, at: number) => {
    const link = sha256(new URL(signInUrl).searchParams.get("token") ?? "");
    await worker.sql("update sign_in_links set expires_at = ? where token_hash = ?", at, link);
    await worker.sql("update join_tokens set expires_at = ? where token_hash = ?", at, sha256(joinToken));
  };
  await expire(yesterday, now - day - 1);
  await expire(lately, now - 1);
  await worker.sql(
    "insert into used_assertions values ('org', 'hst', 'old', ?), ('org', 'hst', 'new', ?)",
    now - 1,
    now + 1_000,
  );

  await worker.harness.getWorker().scheduled({ cron: "* * * * *", scheduledTime: new Date(now) });

  const count = async (table: string) => (await worker.sql<{ n: number }>(`select count(*) as n from ${table}`))[0]?.n;
  expect(await count("browser_sessions")).toBe(1);
  expect((await worker.fetch("/api/me", { headers: { cookie: live } })).status).toBe(200);
  expect(await count("join_tokens")).toBe(1);
  expect(await count("sign_in_links")).toBe(3);
  expect(await worker.sql("select jti from used_assertions")).toEqual([{ jti: "new" }]);
});

test("[R-3.6] the sweep of the store runs with the others: what nothing needs goes a day later, and what fails holds up nobody", async () => {
  const { STORE } = await worker.harness.getWorker<{ STORE: R2Bucket }>().getEnv();
  const owner = await firstCaller(worker);
  const shelf = (n: number) => `ses_${String(n).padStart(20, "0")}`;
  // More shelves that cannot be read than one tick looks at, and one with a pack that nothing needs.
  for (let n = 1; n <= 7; n++) {
    const prefix = `orgs/${owner.organizationId}/sessions/${shelf(n)}`;
    await worker.sql(
      "insert into store_shelves (organization_id, session_id, bytes, swept_at) values (?, ?, 4, ?)",
      owner.organizationId,
      shelf(n),
      n,
    );
    const name = n === 7 ? `packs/${"a".repeat(64)}` : `snapshots/${n}${"b".repeat(63)}`;
    await STORE.put(`${prefix}/${name}`, "left", {});
    if (n < 7)
      await worker.sql(
        "insert into snapshots (id, organization_id, session_id, files, bytes, created_at, version) values (?,?,?,1,1,1,1)",
        `${n}${"b".repeat(63)}`,
        owner.organizationId,
        shelf(n),
      );
  }
  const last = `orgs/${owner.organizationId}/sessions/${shelf(7)}/packs/${"a".repeat(64)}`;
  const tick = (at: number) => worker.harness.getWorker().scheduled({ cron: "* * * * *", scheduledTime: new Date(at) });
  const hour = 60 * 60_000;
  const start = Date.now() + hour;
  for (let n = 0; n < 2; n++) await tick(start + n);
  expect(await STORE.head(last)).not.toBeNull();
  for (let n = 0; n < 2; n++) await tick(start + 25 * hour + n);
  expect(await STORE.head(last)).toBeNull();
  const [row] = await worker.sql("select target, reason from audit where action = 'store.sweep'");
  expect(row).toEqual({
    target: shelf(7),
    reason: "0 snapshots given up, 1 objects removed (1 packs, 4 bytes)",
  });
  expect(JSON.stringify(worker.harness.getLogs())).toMatch(/reconcile_completed[^}]*store/);
});

test("[R-3.5] operators sweep the store of their own organisation, page by page", async () => {
  const owner = await firstCaller(worker);
  const member = await addCaller(worker, owner.organizationId, "member");
  expect((await member.call("POST", "/api/reconcile/store", {})).status).toBe(403);
  type Answer = { reports: { looked: number }[]; nextCursor?: string };
  let looked = 0;
  for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
    const body = { limit: 2, ...(cursor ? { cursor } : {}) };
    const answer = await owner.call<Answer>("POST", "/api/reconcile/store", body);
    expect(answer.status).toBe(200);
    looked += answer.body.reports[0]?.looked ?? 0;
    cursor = answer.body.nextCursor;
  }
  expect(looked).toBeGreaterThanOrEqual(6);
  const stranger = await otherCaller(worker);
  expect((await stranger.call<Answer>("POST", "/api/reconcile/store", {})).body.reports).toMatchObject([{ looked: 0 }]);
});
