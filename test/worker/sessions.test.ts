import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addCaller, type Caller, firstCaller, otherCaller } from "../support/accounts.ts";
import { sharedWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

type Session = { session: { id: string; title: string; provider: string; vmMode: string; activity: string } };
let worker: WorkerUnderTest;
let me: Caller;
beforeAll(async () => {
  worker = await sharedWorker();
  me = await firstCaller(worker);
});
afterAll(() => worker.close());

const create = (body: object = {}, headers = {}) => me.call<Session>("POST", "/api/sessions", body, headers);

describe("a session", () => {
  test("is made, read, renamed and deleted", async () => {
    const { status, body } = await create({ title: "First", provider: "codex-cli" });
    expect(status).toBe(201);
    expect(body.session).toMatchObject({
      title: "First",
      provider: "codex-app-server",
      vmMode: "docker",
      activity: "idle",
    });
    const path = `/api/sessions/${body.session.id}`;
    expect((await me.call("GET", path)).body).toMatchObject({
      session: body.session,
      view: { title: "First" },
      cursor: 1,
    });
    expect((await me.call<Session>("PATCH", path, { title: "Second" })).body.session.title).toBe("Second");
    expect((await me.call("GET", `${path}/transcript`)).body).toMatchObject({ messages: [] });
    expect((await me.call("DELETE", path)).body).toEqual({ ok: true });
    for (const [method, way] of [
      ["GET", ""],
      ["PATCH", ""],
      ["GET", "/transcript"],
      ["GET", "/stream"],
    ] as const) {
      const answer = await me.call(method, `${path}${way}`, method === "PATCH" ? { title: "x" } : undefined);
      expect(answer, `${method} ${way}`).toMatchObject({ status: 410, body: { ok: false, reason: "gone" } });
    }
  });

  test("takes the organisation's defaults", async () => {
    const other = await otherCaller(worker);
    expect(
      (await other.call("PATCH", "/api/organization", { defaultVmMode: "firecracker", defaultProvider: "codex-cli" }))
        .status,
    ).toBe(200);
    const { body } = await other.call<Session>("POST", "/api/sessions");
    expect(body.session).toMatchObject({ vmMode: "firecracker", provider: "codex-app-server", title: "New session" });
  });

  test("that was never made is not there", async () => {
    const id = "ses_zzzzzzzzzzzzzzzzzzzz";
    for (const way of ["", "/transcript", "/stream"]) {
      expect((await me.call("GET", `/api/sessions/${id}${way}`)).status, way).toBe(404);
    }
  });

  test.each(["ses_", "ses_ZZZZZZZZZZZZZZZZZZZZ", "ses_zzzzzzzzzzzzzzzzzzzzz", "..%2F..%2Forg", "%00", "1"])(
    "%j is not an id",
    async (id) => {
      expect((await me.call("GET", `/api/sessions/${id}`)).status).toBe(404);
      expect((await me.call("PATCH", `/api/sessions/${id}`, { title: "x" })).status).toBe(404);
    },
  );

  test("apps and projects that are not there are refused, not ignored", async () => {
    expect(await create({ appId: "app_1" })).toMatchObject({ status: 422, body: { reason: "app_unknown" } });
    expect(await create({ projectId: "prj_1" })).toMatchObject({ status: 422, body: { reason: "project_unknown" } });
  });
});

describe("the same request twice", () => {
  test("makes one session", async () => {
    const headers = { "idempotency-key": "make-one" };
    const [first, second] = [await create({ title: "One" }, headers), await create({ title: "One" }, headers)];
    expect(second.body.session.id).toBe(first.body.session.id);
    expect(await create({ title: "Two" }, headers)).toMatchObject({
      status: 409,
      body: { reason: "idempotency_conflict" },
    });
  });

  test("at once, too", async () => {
    const headers = { "idempotency-key": "at-once" };
    const all = await Promise.all(Array.from({ length: 6 }, () => create({ title: "One" }, headers)));
    expect(new Set(all.map(({ body }) => body.session.id)).size).toBe(1);
  });

  test("of two callers is two requests", async () => {
    const headers = { "idempotency-key": "shared" };
    const colleague = await addCaller(worker, me.organizationId, "member");
    const theirs = await colleague.call<Session>("POST", "/api/sessions", { title: "One" }, headers);
    expect((await create({ title: "One" }, headers)).body.session.id).not.toBe(theirs.body.session.id);
  });

  test.each(["", "with space", "ä", "x".repeat(256)])("a key like %j is refused", async (key) => {
    // fetch refuses to send some of them; whatever is sent is answered with 400.
    const answer = await create({}, { "idempotency-key": encodeURIComponent(key) === key ? key : "with space" });
    expect(answer).toMatchObject({ status: 400, body: { reason: "malformed" } });
  });

  test("a long key is as good as a short one", async () => {
    const headers = { "idempotency-key": "k".repeat(255) };
    const [first, second] = [await create({}, headers), await create({}, headers)];
    expect(first.status).toBe(201);
    expect(second.body.session.id).toBe(first.body.session.id);
  });
});

describe("the list", () => {
  const row = (organizationId: string, n: number, updatedAt: number, title = `Session ${n}`) =>
    worker.sql(
      `insert into sessions (id, organization_id, title, provider, vm_mode, created_by_id, created_by_name, created_at, updated_at, version)
       values (?, ?, ?, 'scripted', 'docker', 'usr_1', 'Someone', 1, ?, 1)`,
      `ses_${String(n).padStart(20, "0")}`,
      organizationId,
      title,
      updatedAt,
    );
  type Page = { sessions: { id: string; title: string }[]; nextCursor?: string };

  test("comes in pages, without a gap or a repetition, also where times are equal", async () => {
    const other = await otherCaller(worker);
    for (let n = 0; n < 25; n++) await row(other.organizationId, n, 1_000 + Math.floor(n / 5));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const { body } = await other.call<Page>("GET", `/api/sessions?limit=4${cursor ? `&cursor=${cursor}` : ""}`);
      expect(body.sessions.length).toBeLessThanOrEqual(4);
      seen.push(...body.sessions.map(({ title }) => title));
      cursor = body.nextCursor;
    } while (cursor);
    expect(seen).toEqual(Array.from({ length: 25 }, (_, n) => `Session ${24 - n}`));
  });

  test("finds words of the title, and takes them literally", async () => {
    const other = await otherCaller(worker);
    await row(other.organizationId, 1, 1, "Fix the build");
    await row(other.organizationId, 2, 2, "Write docs");
    const titles = async (search: string) =>
      (await other.call<Page>("GET", `/api/sessions?search=${encodeURIComponent(search)}`)).body.sessions.map(
        ({ title }) => title,
      );
    expect(await titles("build")).toEqual(["Fix the build"]);
    expect(await titles("%")).toEqual(await titles(" "));
    expect(await titles("' or 1=1 --")).toEqual([]);
  });

  test.each(["limit=0", "limit=201", "limit=x", "cursor=1", "cursor=1.ses_x", "cursor=';drop table sessions"])(
    "?%s is malformed",
    async (query) => {
      expect(await me.call("GET", `/api/sessions?${query}`)).toMatchObject({
        status: 400,
        body: { reason: "malformed" },
      });
    },
  );
});
