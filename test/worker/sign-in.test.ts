import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bootstrap, firstCaller, ownerCookie } from "../support/accounts.ts";
import { sha256 } from "../support/organization.ts";
import { SECRETS } from "../support/secrets.ts";
import { startWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

let worker: WorkerUnderTest;
beforeAll(async () => {
  worker = await startWorker();
});
afterAll(() => worker.close());

async function link(): Promise<string> {
  return new URL((await bootstrap(worker)).signInUrl).searchParams.get("token") ?? "";
}
const openLink = (token: unknown, headers: Record<string, string> = {}) =>
  worker.fetch("/api/sign-in", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ token }),
  });
const me = (cookie: string) => worker.fetch("/api/me", { headers: { cookie } });

describe("a sign-in link", () => {
  test("signs in with a cookie that scripts cannot read", async () => {
    const signedIn = await openLink(await link());
    expect(signedIn.status).toBe(200);
    const [cookie = ""] = signedIn.headers.getSetCookie();
    expect(cookie).toMatch(/^gantry_session=gbs_[\w-]{43}; .*HttpOnly; SameSite=Lax$/);
    expect(await (await me(cookie.split(";")[0] ?? "")).json()).toMatchObject({ kind: "person", role: "owner" });
  });

  test("works once", async () => {
    const token = await link();
    expect((await openLink(token)).status).toBe(200);
    const again = await openLink(token);
    expect(again.status).toBe(410);
    expect(await again.json()).toMatchObject({ message: expect.stringContaining("Ask an administrator") });
  });

  test("of two that come at once, one signs in", async () => {
    const token = await link();
    const answers = await Promise.all([openLink(token), openLink(token), openLink(token), openLink(token)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 410, 410, 410]);
  });

  test("ends", async () => {
    const token = await link();
    await worker.sql("update sign_in_links set expires_at = ? where token_hash = ?", Date.now() - 1, sha256(token));
    const answer = await openLink(token);
    expect(answer.status).toBe(410);
    expect(await answer.json()).toMatchObject({ ok: false, reason: "sign_in_link_expired" });
  });

  test.each([`gsl_${"a".repeat(43)}`, "gsl_", "", "<script>alert(1)</script>", "' or 1=1 --"])(
    "%j is not one",
    async (token) => {
      const answer = await openLink(token);
      expect(answer.status).toBe(401);
      expect(await answer.json()).toMatchObject({ reason: "sign_in_link_unknown" });
    },
  );

  test("is not used up from a foreign page, and no cookie is planted from there", async () => {
    const token = await link();
    for (const headers of [{ origin: "https://evil.test" }, { origin: "null" }]) {
      expect((await openLink(token, headers)).status).toBe(403);
    }
    expect((await openLink(token)).status).toBe(200);
  });

  test("is stored as a hash, and so is the cookie", async () => {
    const token = await link();
    const answer = await openLink(token);
    const cookie = answer.headers.getSetCookie()[0]?.split(/[=;]/)[1] ?? "";
    const rows = JSON.stringify([
      await worker.sql("select * from sign_in_links"),
      await worker.sql("select * from browser_sessions"),
      await worker.sql("select * from audit"),
    ]);
    for (const secret of [token, cookie]) expect(rows).not.toContain(secret);
    expect(rows).toContain(sha256(token));
  });
});

describe("a browser session", () => {
  test("ends with sign-out, also for a copy of the cookie", async () => {
    const cookie = await ownerCookie(worker);
    const answer = await worker.fetch("/api/sign-out", { method: "POST", headers: { cookie, origin: worker.origin } });
    expect(answer.status).toBe(200);
    expect(answer.headers.getSetCookie()[0]).toContain("Max-Age=0");
    expect((await me(cookie)).status).toBe(401);
  });

  test("ends by itself", async () => {
    const cookie = await ownerCookie(worker);
    const hash = sha256(cookie.split("=")[1] ?? "");
    await worker.sql("update browser_sessions set expires_at = ? where token_hash = ?", Date.now() - 1, hash);
    expect((await me(cookie)).status).toBe(401);
  });

  test("ends with the membership", async () => {
    const cookie = await ownerCookie(worker);
    const [row] = await worker.sql<{ organization_id: string; user_id: string }>("select * from memberships");
    await worker.sql("update memberships set role = 'member'");
    expect(await (await me(cookie)).json()).toMatchObject({ role: "member" });
    await worker.sql("delete from memberships");
    expect((await me(cookie)).status).toBe(401);
    await worker.sql("insert into memberships values (?, ?, 'owner', 1)", row?.organization_id, row?.user_id);
    expect((await me(cookie)).status).toBe(200);
  });
});

describe("bootstrap", () => {
  test("makes one organisation, however many ask at once", async () => {
    const fresh = await startWorker();
    try {
      const all = await Promise.all(Array.from({ length: 5 }, () => bootstrap(fresh)));
      expect(new Set(all.map(({ organizationId }) => organizationId)).size).toBe(1);
      expect(new Set(all.map(({ signInUrl }) => signInUrl)).size).toBe(5);
      expect(await fresh.sql("select role from memberships")).toEqual([{ role: "owner" }]);
      expect(await fresh.sql("select count(*) as n from users")).toEqual([{ n: 1 }]);
    } finally {
      await fresh.close();
    }
  });

  test.each(["", "Bearer ", "Bearer wrong", `Bearer ${SECRETS.BOOTSTRAP_TOKEN}x`, `Bearer ${SECRETS.SIGNING_KEY}`])(
    "%j is not the token",
    async (authorization) => {
      const answer = await worker.fetch("/api/bootstrap", {
        method: "POST",
        headers: authorization ? { authorization } : {},
      });
      expect(answer.status).toBe(401);
      expect(answer.headers.get("www-authenticate")).toContain("Bearer");
    },
  );

  test("mints what is asked for", async () => {
    expect(Object.keys(await bootstrap(worker, [])).sort()).toEqual(["organizationId", "signInUrl"]);
    const all = await bootstrap(worker, ["signIn", "serviceToken", "joinToken"]);
    expect(all.serviceToken).toMatch(/^gst_/);
    expect(all.joinToken).toMatch(/^gjt_/);
  });
});

describe("service tokens", () => {
  test("are shown once, listed without secret, and revoked at once", async () => {
    const admin = await firstCaller(worker);
    const made = await admin.call<{ id: string; token: string }>("POST", "/api/service-tokens", {
      name: "CI",
      role: "member",
    });
    expect(made.status).toBe(201);
    const headers = { authorization: `Bearer ${made.body.token}` };
    expect((await worker.fetch("/api/me", { headers })).status).toBe(200);
    const listed = await admin.call("GET", "/api/service-tokens");
    expect(JSON.stringify(listed.body)).toContain(made.body.id);
    expect(JSON.stringify(listed.body)).not.toContain(made.body.token);
    expect((await admin.call("DELETE", `/api/service-tokens/${made.body.id}`)).status).toBe(200);
    expect((await worker.fetch("/api/me", { headers })).status).toBe(401);
    expect((await admin.call("DELETE", `/api/service-tokens/${made.body.id}`)).status).toBe(404);
  });

  test("nobody makes an owner of a program", async () => {
    const admin = await firstCaller(worker);
    expect((await admin.call("POST", "/api/service-tokens", { name: "x", role: "owner" })).status).toBe(400);
  });
});

test("the audit log cannot be rewritten", async () => {
  await bootstrap(worker);
  await expect(worker.sql("update audit set actor_id = 'x'")).rejects.toThrow(/append-only/);
  await expect(worker.sql("delete from audit")).rejects.toThrow(/append-only/);
});
