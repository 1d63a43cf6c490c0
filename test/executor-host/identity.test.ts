/** A host whose clock is wrong proves who it is all the same: the refusal tells the time. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt } from "jose";
import { afterEach, beforeEach, expect, test } from "vitest";
import { statePaths } from "../../executor-host/config.ts";
import { ensureEncryptionKey } from "../../executor-host/encryption-key.ts";
import { ensureHostKey } from "../../executor-host/host-key.ts";
import { connectHost } from "../../executor-host/identity.ts";

const NOW = Date.UTC(2026, 10, 21);
const HOUR = 60 * 60_000;
const IDENTITY = {
  hostId: "hst_00000000000000000001",
  organizationId: "org_1",
  controlUrl: "https://gantry.example",
  pool: "default",
  name: "box",
  installationId: "i",
  labels: {},
};
const CONNECTED = {
  ok: true,
  connect_url: "wss://gantry.example/a",
  reconnect_url: "wss://gantry.example/b",
  token: "t",
  expires_at: NOW + 1,
};
const REFUSED = { ok: false, reason: "assertion_rejected", message: "check this machine's clock" };

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gh-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Answers the moments for which the assertions were made. */
async function connect(hostNow: number, refusal: () => Response): Promise<number[]> {
  const paths = statePaths(dir);
  const keys = { key: await ensureHostKey(paths), encryptionKey: (await ensureEncryptionKey(paths)).publicKey };
  const made: number[] = [];
  const server = async (_url: unknown, init?: RequestInit) => {
    const { iat = 0 } = decodeJwt(JSON.parse(String(init?.body)).assertion);
    made.push(iat * 1_000);
    return iat * 1_000 === NOW ? Response.json(CONNECTED) : refusal();
  };
  await connectHost(IDENTITY, keys, { fetch: server as typeof fetch, now: () => hostNow });
  return made;
}

test.each([HOUR, -HOUR])("[R-1.3] a clock that is %i ms off: the refusal's own time is used", async (offMs) => {
  const refusal = () => Response.json({ ...REFUSED, details: { nowMs: NOW } }, { status: 401 });
  expect(await connect(NOW + offMs, refusal)).toEqual([NOW + offMs, NOW]);
});

test("something in between has answered: its Date is used", async () => {
  const refusal = () => new Response("no", { status: 401, headers: { date: new Date(NOW).toUTCString() } });
  expect(await connect(NOW + HOUR, refusal)).toEqual([NOW + HOUR, NOW]);
});

test("a refusal that is not about time is told", async () => {
  const refusal = () => Response.json({ ...REFUSED, details: { nowMs: NOW + 1_500 } }, { status: 401 });
  await expect(connect(NOW + 2_000, refusal)).rejects.toMatchObject({ reason: "assertion_rejected" });
});
