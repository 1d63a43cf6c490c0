/** Credentials: what people can do with them, and what reaches a host. The host is the test's own, with a real key pair. */
import { compactDecrypt, exportJWK, generateKeyPair } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addCaller, bootstrap, type Caller, firstCaller, otherCaller } from "../support/accounts.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import { sharedWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

type Credential = { id: string; hint: string; lastUsedAt?: number; rotatedAt?: number };
type Delivered = { credentials: { id: string; kind: string; value: string }[]; hostId: string; epoch: number };

let worker: WorkerUnderTest;
let me: Caller;
beforeAll(async () => {
  worker = await sharedWorker();
  me = await firstCaller(worker);
});
afterAll(() => worker.close());

const SECRET = "sk-ant-canary-4e1d77b0c9";
const create = async (change: object = {}, by = me) =>
  await by.call<{ credential: Credential; reason?: string }>("POST", "/api/credentials", {
    kind: "anthropic",
    name: "main",
    value: SECRET,
    ...change,
  });
const list = async (by = me) =>
  (await by.call<{ credentials: Credential[] }>("GET", "/api/credentials")).body.credentials;
const auditOf = async (target: string) =>
  (await worker.sql<{ action: string }>("select action from audit where target = ? order by id", target)).map(
    ({ action }) => action,
  );

describe("for people", () => {
  test("a value goes in and never comes out; D1 holds it sealed", async () => {
    const made = await create();
    expect(made.status).toBe(201);
    expect(made.body.credential).toMatchObject({ kind: "anthropic", name: "main", hint: "…b0c9" });
    const { id } = made.body.credential;
    expect((await list()).map((each) => each.id)).toContain(id);
    expect(JSON.stringify([made.body, await list()])).not.toContain(SECRET);
    const tables = await worker.sql<{ name: string }>("select name from sqlite_master where type = 'table'");
    for (const { name } of tables.filter((table) => !table.name.startsWith("_cf"))) {
      expect(JSON.stringify(await worker.sql(`select * from "${name}"`)), name).not.toContain(SECRET);
    }
    expect(await auditOf(id)).toEqual(["credentials.create"]);
  });

  test("rotating replaces the value, revoking erases it; both are on record", async () => {
    const { id } = (await create({ name: "short-lived" })).body.credential;
    const sealed = async () =>
      (await worker.sql<{ sealed: string | null }>("select sealed from credentials where id = ?", id))[0]?.sealed;
    const before = await sealed();
    const rotated = await me.call<{ credential: Credential }>("POST", `/api/credentials/${id}/rotate`, {
      value: "sk-ant-the-next-one-0002",
    });
    expect(rotated).toMatchObject({ status: 200, body: { credential: { hint: "…0002" } } });
    expect(await sealed()).not.toBe(before);
    expect((await me.call("DELETE", `/api/credentials/${id}`)).status).toBe(200);
    expect(await sealed()).toBeNull();
    expect((await list()).map((each) => each.id)).not.toContain(id);
    expect((await me.call("DELETE", `/api/credentials/${id}`)).status).toBe(404);
    expect((await me.call("POST", `/api/credentials/${id}/rotate`, { value: "sk-ant-too-late" })).status).toBe(404);
    expect(await auditOf(id)).toEqual(["credentials.create", "credentials.rotate", "credentials.revoke"]);
  });

  test("the same Idempotency-Key keeps one", async () => {
    const body = { kind: "openai", name: "once", value: "sk-once-0123456789abcdef" };
    const ask = () =>
      me.call<{ credential: Credential }>("POST", "/api/credentials", body, { "idempotency-key": "k1" });
    const [first, again] = [await ask(), await ask()];
    expect(again).toMatchObject({ status: 201, body: { credential: { id: first.body.credential.id } } });
    expect((await list()).filter(({ id }) => id === first.body.credential.id)).toHaveLength(1);
  });

  test.each([
    ["no value", { value: undefined }],
    ["a value that no header can hold", { value: "sk-line\nbreak-0000" }],
    ["an address with a password", { kind: "openai-compatible", baseUrl: "https://u:p@x.example" }],
    ["an address that is none", { kind: "openai-compatible", baseUrl: "file:///etc/passwd" }],
    ["a kind that wants an address", { kind: "header" }],
    ["a header that is none", { kind: "header", baseUrl: "https://x.example", header: "a b" }],
  ])("refused: %s", async (_what, change) => {
    const refused = await create(change);
    expect(refused).toMatchObject({ status: 400, body: { reason: "malformed" } });
    expect(JSON.stringify(refused.body)).not.toContain("sk-line");
  });

  test("a member may not look, another organisation finds nothing, an unknown app is said to be unknown", async () => {
    const { id } = (await create()).body.credential;
    const member = await addCaller(worker, me.organizationId, "member");
    expect((await member.call("GET", "/api/credentials")).status).toBe(403);
    const other = await otherCaller(worker);
    expect(await list(other)).toEqual([]);
    expect((await other.call("DELETE", `/api/credentials/${id}`)).status).toBe(404);
    expect(await create({ appId: "app_00000000000000000000" })).toMatchObject({
      status: 422,
      body: { reason: "app_unknown" },
    });
  });
});

/** A host that has said its encryption key, and holds the lease of one session. */
async function leased() {
  const { privateKey, publicKey } = await generateKeyPair("ECDH-ES", { crv: "P-256", extractable: true });
  const host = new ScriptedHost(worker.origin, { slots: 50 });
  await host.join((await bootstrap(worker, ["joinToken"])).joinToken);
  const assertion = host.assertion.bind(host);
  const { kty, crv, x, y } = await exportJWK(publicKey);
  host.assertion = (change = {}) => assertion({ enc_key: { kty, crv, x, y }, ...change });
  await host.connect();
  const { sessionId } = (await me.call<{ sessionId: string }>("POST", "/api/runs/queue/enqueue", { prompt: "say hi" }))
    .body;
  const { assignment } = await host.takeAssignment();
  expect(assignment.sessionId).toBe(sessionId);
  const ask = async (body: object, as = host) => {
    const response = await worker.fetch(`/api/hosts/${host.id}/credentials`, {
      method: "POST",
      headers: { authorization: `Bearer ${as.token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return {
      status: response.status,
      body: (await response.json()) as { sealed?: string; reason?: string; network?: object },
    };
  };
  const open = async (sealed = "") => {
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, privateKey);
    return { protectedHeader, ...(JSON.parse(new TextDecoder().decode(plaintext)) as Delivered) };
  };
  return { host, ask, open, lease: { sessionId, epoch: assignment.epoch } };
}

describe("[R-2.6] for hosts", () => {
  let held: Awaited<ReturnType<typeof leased>>;
  beforeAll(async () => {
    held = await leased();
  });
  afterAll(() => held.host.control.close());

  test("the host of the lease gets them, sealed to its own key; rotating, using and revoking show", async () => {
    const { id } = (await create({ name: "delivered" })).body.credential;
    const { host, ask, open, lease } = held;
    const first = await ask(lease);
    expect(first).toMatchObject({ status: 200, body: { sealed: expect.any(String) } });
    expect(JSON.stringify(first.body)).not.toContain(SECRET);
    const opened = await open(first.body.sealed);
    expect(opened.protectedHeader).toMatchObject({ alg: "ECDH-ES", enc: "A256GCM" });
    expect(opened).toMatchObject({ hostId: host.id, ...lease });
    expect(opened.credentials.find((each) => each.id === id)).toEqual({ id, kind: "anthropic", value: SECRET });

    await me.call("POST", `/api/credentials/${id}/rotate`, { value: "sk-ant-rotated-00000003" });
    expect(await host.control.message("config_update")).toMatchObject({ config: { credentials: "changed" } });
    const second = await open((await ask({ ...lease, used: [id] })).body.sealed);
    expect(second.credentials.find((each) => each.id === id)?.value).toBe("sk-ant-rotated-00000003");
    expect((await list()).find((each) => each.id === id)?.lastUsedAt).toBeGreaterThan(0);

    await me.call("DELETE", `/api/credentials/${id}`);
    const third = await open((await ask(lease)).body.sealed);
    expect(third.credentials.map((each) => each.id)).not.toContain(id);
  });

  test("[R-8.2] a session of an app gets the app's own credential and network policy with the same answer", async () => {
    const registered = await me.call<{ app: { id: string } }>("POST", "/api/apps/register", {
      name: "listed",
      runtimeDefaults: { networkPolicy: "allowlist", allowlist: ["example.com"] },
    });
    const appId = registered.body.app.id;
    const { id } = (await create({ name: "of the app", appId, value: "sk-ant-of-the-app-0001" })).body.credential;
    const { host, ask, open, lease } = held;
    expect((await open((await ask(lease)).body.sealed)).credentials.map((each) => each.id)).not.toContain(id);
    const body = { prompt: "say hi", executionProfile: "listed" };
    const { sessionId } = (await me.call<{ sessionId: string }>("POST", "/api/runs/queue/enqueue", body)).body;
    const { assignment } = await host.takeAssignment();
    const answer = await ask({ sessionId, epoch: assignment.epoch });
    expect(answer.body.network).toEqual({ mode: "allowlist", hosts: ["example.com"] });
    const anthropic = (await open(answer.body.sealed)).credentials.filter(({ kind }) => kind === "anthropic");
    expect(anthropic).toEqual([{ id, kind: "anthropic", value: "sk-ant-of-the-app-0001" }]);
  });

  test("nobody else does: no lease, an old epoch, another host's name, a person, a session of others", async () => {
    const { host, ask, lease } = held;
    const stranger = await ScriptedHost.online(worker.origin, (await bootstrap(worker, ["joinToken"])).joinToken, {
      slots: 0,
    });
    expect(await ask({ ...lease, epoch: lease.epoch + 1 })).toMatchObject({
      status: 409,
      body: { reason: "stale_epoch" },
    });
    expect((await ask({ ...lease, sessionId: "ses_00000000000000000000" })).status).toBe(409);
    expect(await ask(lease, stranger), "under the name of the other").toMatchObject({ status: 404 });
    const own = await worker.fetch(`/api/hosts/${stranger.id}/credentials`, {
      method: "POST",
      headers: { authorization: `Bearer ${stranger.token}`, "content-type": "application/json" },
      body: JSON.stringify(lease),
    });
    expect(own.status, "under its own name").toBe(409);
    expect((await me.call("POST", `/api/hosts/${host.id}/credentials`, lease)).status).toBe(403);
    await stranger.control.close();
  });

  test("a host may ask which kinds there are, and learns no more", async () => {
    await create();
    const { host } = held;
    const headers = { authorization: `Bearer ${host.token}` };
    const answer = await worker.fetch(`/api/hosts/${host.id}/credentials`, { headers });
    const { kinds, ...rest } = (await answer.json()) as { kinds: string[] };
    expect(kinds).toContain("anthropic");
    expect(rest).toEqual({});
  });
});
