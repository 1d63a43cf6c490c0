import { afterAll, beforeAll, expect, test } from "vitest";
import { bootstrap, ownerCookie, sha256 } from "../support/accounts.ts";
import { startWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

let worker: WorkerUnderTest;
beforeAll(async () => {
  worker = await startWorker();
});
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
