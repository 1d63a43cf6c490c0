/** A sign-in of the operator's own on its way to the model, through the daemon's own choice of keys. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CompactEncrypt, importJWK } from "jose";
import { expect, onTestFinished, test } from "vitest";
import { SEAL_ALGORITHMS } from "#protocol/credentials.ts";
import type { Provider } from "#protocol/vocabulary.ts";
import { systemClock } from "../../../executor-host/clock.ts";
import { statePaths } from "../../../executor-host/config.ts";
import { HostKeys } from "../../../executor-host/egress/host-keys.ts";
import { ensureEncryptionKey } from "../../../executor-host/encryption-key.ts";
import { findLocal } from "../../../executor-host/local-credentials/find.ts";
import { addReferences } from "../../../executor-host/local-credentials/references.ts";
import { silentLogger } from "../../../executor-host/logs.ts";
import { ask } from "../../support/proxy-client.ts";

const lease = { sessionId: "ses_00000000000000000000", epoch: 1, traceId: "0".repeat(32) };
const path = "/provider/claude-code/v1/messages";

test("each request carries what the file says at that moment, the CLI's betas with its own; a file that went is a 401 in words", async () => {
  const root = mkdtempSync(join(tmpdir(), "gl-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const received: IncomingHttpHeaders[] = [];
  const model = createServer((request, response) => {
    received.push(request.headers);
    response.end("{}");
  });
  await new Promise<void>((resolve) => model.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void model.close());

  const file = join(root, ".claude", ".credentials.json");
  const signIn = (accessToken: string, expiresAt = Date.now() + 3_600_000) =>
    writeFileSync(file, JSON.stringify({ claudeAiOauth: { accessToken, expiresAt } }));
  mkdirSync(join(root, ".claude"));
  signIn("oat-first-0123456789");
  const paths = statePaths(join(root, "host"));
  mkdirSync(paths.egress, { recursive: true });
  const references = findLocal({}, root, Date.now()).flatMap((each) => ("reference" in each ? [each.reference] : []));
  addReferences(paths, references);

  const env = { ANTHROPIC_BASE_URL: `http://127.0.0.1:${(model.address() as AddressInfo).port}` };
  const key = await ensureEncryptionKey(paths);
  const identity = { hostId: "hst_00000000000000000000", controlUrl: "http://control.test" };
  // The control plane, which has nothing to give.
  const nothing = { hostId: identity.hostId, sessionId: lease.sessionId, epoch: lease.epoch, credentials: [] };
  const sealed = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(nothing)))
    .setProtectedHeader(SEAL_ALGORITHMS)
    .encrypt(await importJWK(key.publicKey, SEAL_ALGORITHMS.alg));
  const fetch = async (_url: unknown, options?: RequestInit) =>
    Response.json(options?.method === "POST" ? { sealed } : { kinds: [] });
  const needs = { identity, paths, env, key, fetch: fetch as typeof globalThis.fetch };
  const keys = new HostKeys({
    ...needs,
    ...{ clock: systemClock, logger: silentLogger, token: async () => "token", kindsChanged: () => {} },
  });
  let provider: Provider | undefined;
  const egress = await keys.openEgress(lease, () => provider);
  if (!egress) throw new Error("there is a way out");
  onTestFinished(() => egress.close());
  const socket = join(egress.dir, "proxy.sock");

  // Before the session's first run nobody spends it, and neither does a run of another provider.
  expect(await ask(socket, { path })).toMatchObject({ status: 403 });
  provider = "codex-app-server";
  expect(await ask(socket, { path })).toMatchObject({ status: 403, text: expect.stringContaining("its own provider") });
  provider = "claude-code";
  await ask(socket, { path, headers: { "anthropic-beta": "tools-1", authorization: "Bearer placeholder" } });
  signIn("oat-renewed-0123456789");
  await ask(socket, { path });
  expect(received).toMatchObject([
    { authorization: "Bearer oat-first-0123456789", "anthropic-beta": "tools-1,oauth-2025-04-20" },
    { authorization: "Bearer oat-renewed-0123456789", "anthropic-beta": "oauth-2025-04-20" },
  ]);
  expect(keys.upstreams().get("claude-code")).toMatchObject({ state: "ready" });

  signIn("oat-renewed-0123456789", 1);
  expect(await ask(socket, { path })).toMatchObject({ status: 401, text: expect.stringContaining("expired") });
  rmSync(file);
  const gone = await ask(socket, { path });
  expect(gone).toMatchObject({ status: 401, text: expect.stringMatching(/auth_missing.*claude-code.*is gone/) });
  expect(received).toHaveLength(2);
  expect(keys.upstreams().get("claude-code")).toMatchObject({
    state: "unready",
    fix: expect.stringMatching(/Run claude once.*gantry host credentials forget claude-code/),
  });
});
