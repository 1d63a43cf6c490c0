/** A host's way in: join, prove itself, dial. The host is this test, with real keys and real sockets. */

import { generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import { once } from "node:events";
import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";
import { CLOSE_CODES } from "#protocol/close-codes.ts";
import { PROTOCOL_VERSION } from "#protocol/version.ts";
import { type Caller, firstCaller, otherCaller } from "../support/accounts.ts";
import { sha256 } from "../support/organization.ts";
import { sharedWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

let worker: WorkerUnderTest;
let admin: Caller;
beforeAll(async () => {
  worker = await sharedWorker();
  admin = await firstCaller(worker);
});
afterAll(() => worker.close());

type Keys = { privateKey: KeyObject; publicKey: object };
function newKeys(): Keys {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { privateKey, publicKey: { kty: "OKP", crv: "Ed25519", x: publicKey.export({ format: "jwk" }).x } };
}
const invite = async (by = admin) =>
  (await by.call<{ joinToken: string }>("POST", "/api/hosts/join-tokens", {})).body.joinToken;

async function post<T = Record<string, unknown>>(path: string, body: unknown) {
  const response = await worker.fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as T & { reason?: string } };
}
const join = (joinToken: string, keys: Keys, name = "box") =>
  post<{ hostId: string; organizationId: string; pool: string }>("/api/hosts/join", {
    joinToken,
    publicKey: keys.publicKey,
    name,
  });

async function joined(by = admin) {
  const keys = newKeys();
  const { body } = await join(await invite(by), keys);
  return { keys, hostId: body.hostId };
}

type Claims = { iss?: string; sub?: string; aud?: string; jti?: string; exp?: number };
function assertion({ keys, hostId }: { keys: Keys; hostId: string }, claims: Claims = {}, now = Date.now()) {
  const seconds = Math.floor(now / 1000);
  return new SignJWT({ jti: randomUUID(), iss: hostId, sub: hostId, aud: worker.origin, exp: seconds + 60, ...claims })
    .setProtectedHeader({ alg: "EdDSA" })
    .setIssuedAt(seconds)
    .sign(keys.privateKey);
}
type Connected = { connect_url: string; reconnect_url: string; token: string; expires_at: number };
const connect = (hostId: string, jwt: string) => post<Connected>(`/api/hosts/${hostId}/connect`, { assertion: jwt });

describe("joining", () => {
  test("gives an id, and the same id again for the same key", async () => {
    const keys = newKeys();
    const token = await invite();
    const first = await join(token, keys);
    expect(first).toMatchObject({ status: 200, body: { organizationId: admin.organizationId, pool: "default" } });
    expect(first.body.hostId).toMatch(/^hst_[0-9a-z]{20}$/);
    expect((await join(token, keys)).body, "the answer was lost, so it is asked for again").toEqual(first.body);
    expect((await join(await invite(), keys)).body).toEqual(first.body);
  });

  test("a token makes one host, however many try at once", async () => {
    const token = await invite();
    const answers = await Promise.all(Array.from({ length: 5 }, () => join(token, newKeys())));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 410, 410, 410, 410]);
    expect(answers.find(({ status }) => status === 410)?.body.reason).toBe("join_token_used");
  });

  test("an expired token is told so", async () => {
    const token = await invite();
    await worker.sql("update join_tokens set expires_at = ? where token_hash = ?", Date.now() - 1, sha256(token));
    expect(await join(token, newKeys())).toMatchObject({ status: 410, body: { reason: "join_token_expired" } });
  });

  test.each([`gjt_${"a".repeat(43)}`, "", "x".repeat(400)])("%j is no join token", async (token) => {
    expect(await join(token, newKeys())).toMatchObject({ status: 401, body: { reason: "join_token_unknown" } });
  });

  test.each([
    { kty: "RSA", n: "x", e: "AQAB" },
    { kty: "OKP", crv: "X25519", x: "a".repeat(43) },
    { kty: "OKP", crv: "Ed25519", x: "short" },
    {},
  ])("%j is no key", async (publicKey) => {
    const token = await invite();
    expect((await join(token, { publicKey } as Keys)).status).toBe(400);
    expect((await join(token, newKeys())).status, "the token was not used up by that").toBe(200);
  });

  test("the same machine in two organisations is two hosts", async () => {
    const keys = newKeys();
    const here = await join(await invite(), keys);
    const there = await join(await invite(await otherCaller(worker)), keys);
    expect(there.status).toBe(200);
    expect(there.body.hostId).not.toBe(here.body.hostId);
  });
});

describe("connecting", () => {
  test("trades an assertion for addresses and a token", async () => {
    const host = await joined();
    const { status, body } = await connect(host.hostId, await assertion(host));
    expect(status).toBe(200);
    const base = `${worker.origin.replace("http", "ws")}/api/link/host/${host.hostId}`;
    expect(body.reconnect_url).toBe(base);
    expect(body.connect_url).toMatch(/\?ticket=[\w-]{16,}$/);
    expect(body.connect_url.startsWith(`${base}?`)).toBe(true);
    expect(body.expires_at).toBeGreaterThan(Date.now());
  });

  test("an assertion counts once", async () => {
    const host = await joined();
    const jwt = await assertion(host);
    const answers = await Promise.all([
      connect(host.hostId, jwt),
      connect(host.hostId, jwt),
      connect(host.hostId, jwt),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
    expect(answers.find(({ status }) => status === 401)?.body.reason).toBe("assertion_replayed");
  });

  const seconds = () => Math.floor(Date.now() / 1000);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const bad: Record<string, (host: { keys: Keys; hostId: string }) => Promise<string>> = {
    "another issuer": (host) => assertion(host, { iss: "hst_zzzzzzzzzzzzzzzzzzzz" }),
    "another subject": (host) => assertion(host, { sub: "hst_zzzzzzzzzzzzzzzzzzzz" }),
    "another audience": (host) => assertion(host, { aud: "https://other.test" }),
    "an audience that begins like ours": (host) => assertion(host, { aud: `${worker.origin}.evil.test` }),
    "a long life": (host) => assertion(host, { exp: seconds() + 3_600 }),
    "no end": (host) => assertion(host, { exp: undefined }),
    "no jti": (host) => assertion(host, { jti: undefined }),
    "an empty jti": (host) => assertion(host, { jti: "" }),
    "another host's key": async (host) => assertion({ ...host, keys: newKeys() }),
    "algorithm none": async ({ hostId }) =>
      `${part({ alg: "none" })}.${part({ iss: hostId, sub: hostId, aud: worker.origin, exp: seconds() + 60, jti: randomUUID() })}.`,
    "HS256 with the public key as secret": async ({ hostId, keys }) =>
      new SignJWT({ jti: randomUUID(), iss: hostId, sub: hostId, aud: worker.origin, exp: seconds() + 60 })
        .setProtectedHeader({ alg: "HS256" })
        .sign(Buffer.from((keys.publicKey as { x: string }).x, "base64url")),
    "a key of its own in the header": async ({ hostId }) => {
      const own = newKeys();
      return new SignJWT({ jti: randomUUID(), iss: hostId, sub: hostId, aud: worker.origin, exp: seconds() + 60 })
        .setProtectedHeader({ alg: "EdDSA", jwk: own.publicKey as never })
        .sign(own.privateKey);
    },
    nonsense: async () => "a.b.c",
    nothing: async () => "",
  };
  test.each(Object.entries(bad))("%s is rejected", async (_what, make) => {
    const host = await joined();
    expect(await connect(host.hostId, await make(host))).toMatchObject({
      status: 401,
      body: { reason: "assertion_rejected" },
    });
    expect((await connect(host.hostId, await assertion(host))).status, "and a good one still counts").toBe(200);
  });

  test("an expired one is told so, with the server's time", async () => {
    const host = await joined();
    const answer = await connect(host.hostId, await assertion(host, {}, Date.now() - 3_600_000));
    expect(answer).toMatchObject({ status: 401, body: { reason: "assertion_expired" } });
    expect(answer.body).toHaveProperty("details.nowMs");
  });

  test("an unknown host is unknown; a malformed id is not found", async () => {
    const host = await joined();
    expect((await connect("hst_zzzzzzzzzzzzzzzzzzzz", await assertion(host))).status).toBe(401);
    expect((await connect("..%2Fx", await assertion(host))).status).toBe(404);
  });
});

describe("the control link", () => {
  const dial = (url: string) => new WebSocket(url);
  async function refusal(url: string): Promise<number> {
    const socket = dial(url);
    const [, response] = await once(socket, "unexpected-response");
    socket.on("error", () => undefined);
    socket.terminate();
    return response.statusCode;
  }

  test("opens with a ticket, once, and welcomes the token in the first frame", async () => {
    const host = await joined();
    const { body } = await connect(host.hostId, await assertion(host));
    const socket = dial(body.connect_url);
    await once(socket, "open");
    socket.send(JSON.stringify({ type: "auth", token: body.token, protocol: PROTOCOL_VERSION }));
    const [frame] = await once(socket, "message");
    expect(JSON.parse(String(frame))).toMatchObject({ type: "welcome" });
    expect(await refusal(body.connect_url)).toBeGreaterThanOrEqual(401);
    socket.close();
  });

  test("the token of another host does not pass", async () => {
    const [host, other] = [await joined(), await joined()];
    const mine = (await connect(host.hostId, await assertion(host))).body;
    const foreign = (await connect(other.hostId, await assertion(other))).body;
    const socket = dial(mine.reconnect_url);
    await once(socket, "open");
    socket.send(JSON.stringify({ type: "auth", token: foreign.token, protocol: PROTOCOL_VERSION }));
    const [code] = await once(socket, "close");
    expect([CLOSE_CODES.auth_rejected.code, CLOSE_CODES.forbidden.code]).toContain(code);
  });

  test("names that are nobody's make no object", async () => {
    const base = worker.origin.replace("http", "ws");
    for (const path of [
      "/api/link/host/hst_zzzzzzzzzzzzzzzzzzzz",
      "/api/link/host/..%2F..",
      "/api/link/session/org_zzzzzzzzzzzzzzzzzzzz/ses_zzzzzzzzzzzzzzzzzzzz",
      "/api/link/session/x/y",
    ]) {
      expect(await refusal(`${base}${path}`), path).toBe(404);
    }
    expect(await refusal(`${base}/api/link/session/${admin.organizationId}/ses_zzzzzzzzzzzzzzzzzzzz`)).toBe(404);
  });

  test("speaks WebSocket only", async () => {
    const host = await joined();
    expect((await worker.fetch(`/api/link/host/${host.hostId}`)).status).toBe(426);
  });
});

describe("administrators", () => {
  test("see hosts, drain them, and let them work again", async () => {
    const { hostId } = await joined();
    const state = async () => {
      const { body } = await admin.call<{ hosts: { id: string; status: string }[] }>("GET", "/api/hosts");
      return body.hosts.find(({ id }) => id === hostId);
    };
    expect(await state()).toMatchObject({ name: "box", pool: "default", leases: 0 });
    expect((await admin.call("POST", `/api/hosts/${hostId}/drain`)).status).toBe(200);
    expect((await admin.call("POST", `/api/hosts/${hostId}/resume`)).status).toBe(200);
  });

  test("remove a host: its key, its token and its address are worthless", async () => {
    const host = await joined();
    const { body } = await connect(host.hostId, await assertion(host));
    expect((await admin.call("DELETE", `/api/hosts/${host.hostId}`)).status).toBe(200);
    expect(await connect(host.hostId, await assertion(host))).toMatchObject({
      status: 410,
      body: { reason: "host_revoked" },
    });
    expect((await worker.fetch("/api/me", { headers: { authorization: `Bearer ${body.token}` } })).status).toBe(410);
    expect(await join(await invite(), host.keys)).toMatchObject({ status: 410, body: { reason: "host_revoked" } });
    expect((await admin.call("DELETE", `/api/hosts/${host.hostId}`)).status, "again is the same").toBe(200);
    expect((await admin.call("POST", `/api/hosts/${host.hostId}/resume`)).status).toBe(404);
    const { body: list } = await admin.call<{ hosts: { id: string }[] }>("GET", "/api/hosts");
    expect(list.hosts.map(({ id }) => id)).not.toContain(host.hostId);
  });

  test("whether a host was removed is told to nobody but the host", async () => {
    const host = await joined();
    await admin.call("DELETE", `/api/hosts/${host.hostId}`);
    expect((await connect(host.hostId, await assertion({ ...host, keys: newKeys() }))).status).toBe(401);
  });
});
