/** What the operator's own CLIs keep is found, used where it lies, and said to be broken when it is. */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { inspect } from "node:util";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type Upstream, upstreamsFrom } from "../../../executor-host/egress/credentials.ts";
import { findLocal } from "../../../executor-host/local-credentials/find.ts";
import { ownKeys } from "../../../executor-host/local-credentials/read.ts";
import { addReferences, type Reference } from "../../../executor-host/local-credentials/references.ts";
import { HostFolder } from "../../support/host-process.ts";

const NOW = Date.UTC(2030, 0, 1);
const SIGN_IN = "sk-ant-oat01-local-canary-0001";
const jwt = (exp: number) => `e30.${Buffer.from(JSON.stringify({ exp })).toString("base64url")}.c2lnbmF0dXJl`;

let folder: HostFolder;
beforeEach(() => {
  folder = new HostFolder();
  onTestFinished(() => folder.remove());
});
const put = (path: string, content: unknown) => {
  const file = join(folder.dir, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(content), { mode: 0o600 });
  return file;
};
const claude = (expiresAt = NOW + 3_600_000, accessToken = SIGN_IN) =>
  put(".claude/.credentials.json", { claudeAiOauth: { accessToken, refreshToken: "sk-ant-ort01-refresh", expiresAt } });
const codex = (content: object) => put(".codex/auth.json", content);
const opencode = (content: object) => put(".local/share/opencode/auth.json", content);

const found = (env: Record<string, string> = {}) => findLocal(env, folder.dir, NOW);
const summary = (env: Record<string, string> = {}) =>
  Object.fromEntries(
    found(env).map((each) => ("reference" in each ? [each.reference.name, each.reading.state] : [each.name, each.why])),
  );
const referenceOf = (name: string, env: Record<string, string> = {}): Reference => {
  const one = found(env).find((each) => "reference" in each && each.reference.name === name);
  if (!one || !("reference" in one)) throw new Error(`${name} was not found`);
  return one.reference;
};
const paths = () => ({ localCredentials: join(folder.dir, "local-credentials.json") });
const table = (env: Record<string, string> = {}, now = NOW) => upstreamsFrom(env, [], ownKeys(paths(), env, now));
const keyOf = (upstream: Upstream | undefined) =>
  upstream?.state === "ready" ? upstream.keyHeaders() : (upstream?.message ?? "");

describe("finding", () => {
  test("every place of the three CLIs, and of opencode's what cannot be used, with the reason", () => {
    expect(found()).toEqual([]);
    claude();
    codex({ OPENAI_API_KEY: "sk-codex-key", tokens: { access_token: jwt(NOW / 1_000 + 60), account_id: "acc" } });
    opencode({
      openai: { type: "api", key: "sk-opencode" },
      anthropic: { type: "oauth", access: "a", refresh: "b", expires: 1 },
      openrouter: { type: "api", key: "sk-or" },
    });
    const env = { ANTHROPIC_API_KEY: "k1-aaaa", ANTHROPIC_AUTH_TOKEN: "k2-aaaa", CLAUDE_CODE_OAUTH_TOKEN: "k3-aaaa" };
    expect(summary({ ...env, OPENAI_API_KEY: "k4-aaaa" })).toEqual({
      "claude-code": "ready",
      "codex-key": "ready",
      "codex-chatgpt": "ready",
      ANTHROPIC_API_KEY: "ready",
      ANTHROPIC_AUTH_TOKEN: "ready",
      CLAUDE_CODE_OAUTH_TOKEN: "ready",
      OPENAI_API_KEY: "ready",
      "opencode-openai": "ready",
      "opencode-anthropic": expect.stringContaining("opencode alone"),
      "opencode-openrouter": expect.stringContaining("openai-compatible"),
    });
  });

  test("the CLIs' own variables move the files; null and damaged files are no find", () => {
    put("elsewhere/.credentials.json", { claudeAiOauth: { accessToken: SIGN_IN } });
    codex({ OPENAI_API_KEY: null, tokens: null });
    mkdirSync(join(folder.dir, ".local/share/opencode"), { recursive: true });
    writeFileSync(join(folder.dir, ".local/share/opencode/auth.json"), "{ half");
    expect(summary({ CLAUDE_CONFIG_DIR: join(folder.dir, "elsewhere") })).toEqual({ "claude-code": "ready" });
  });
});

describe("using", () => {
  test("the file is read at each use: a sign-in that its CLI renewed counts at once", () => {
    claude();
    addReferences(paths(), [referenceOf("claude-code")]);
    const stored = readFileSync(paths().localCredentials, "utf8");
    expect(stored).not.toContain("sk-ant");
    expect(JSON.parse(stored).use[0].at.field).toEqual(["claudeAiOauth", "accessToken"]);
    expect(statSync(paths().localCredentials).mode & 0o777).toBe(0o600);
    const beta = { "anthropic-beta": "oauth-2025-04-20" };
    expect(keyOf(table().get("claude-code"))).toEqual({ authorization: `Bearer ${SIGN_IN}`, ...beta });
    claude(NOW + 7_200_000, "sk-ant-oat01-renewed");
    expect(keyOf(table().get("claude-code"))).toMatchObject({ authorization: "Bearer sk-ant-oat01-renewed" });
  });

  test("a sign-in is for the CLI that made it and for no other provider", () => {
    claude();
    codex({ tokens: { access_token: jwt(NOW / 1_000 + 60), account_id: "acc-1" } });
    addReferences(paths(), [referenceOf("claude-code"), referenceOf("codex-chatgpt")]);
    const upstreams = table({ OPENAI_API_KEY: "sk-env" });
    expect(upstreams.get("anthropic")).toMatchObject({ state: "unready", reason: "auth_missing" });
    expect(keyOf(upstreams.get("native"))).toEqual({ authorization: "Bearer sk-env" });
    const codexUpstream = upstreams.get("codex-app-server");
    expect(keyOf(codexUpstream)).toMatchObject({ "chatgpt-account-id": "acc-1" });
    expect(codexUpstream).toMatchObject({ baseUrl: new URL("https://chatgpt.com/backend-api/codex") });
  });

  test("what was chosen comes before the daemon's environment and after a delivered credential; the last choice first", () => {
    opencode({ openai: { type: "api", key: "sk-opencode" } });
    codex({ OPENAI_API_KEY: "sk-codex" });
    const env = { OPENAI_API_KEY: "sk-env" };
    addReferences(paths(), [referenceOf("opencode-openai")]);
    expect(keyOf(table(env).get("opencode"))).toEqual({ authorization: "Bearer sk-opencode" });
    addReferences(paths(), [referenceOf("codex-key")]);
    expect(keyOf(table(env).get("opencode"))).toEqual({ authorization: "Bearer sk-codex" });
    const delivered = [{ id: "crd_00000000000000000000", kind: "openai" as const, value: "sk-delivered" }];
    const upstream = upstreamsFrom(env, delivered, ownKeys(paths(), env, NOW)).get("opencode");
    expect(keyOf(upstream)).toEqual({ authorization: "Bearer sk-delivered" });
  });

  test("one that expired or is gone is not replaced by another key, and says what to do", () => {
    const file = claude(NOW);
    addReferences(paths(), [{ ...referenceOf("claude-code") }]);
    const env = { ANTHROPIC_API_KEY: "sk-env" };
    expect(table(env).get("claude-code")).toMatchObject({
      reason: "auth_missing",
      message: expect.stringMatching(/claude-code expired at 2030-01-01T00:00:00.*does not renew/),
      fix: expect.stringMatching(/Run claude once.*forget claude-code/),
    });
    expect(table(env, NOW - 1).get("claude-code")).toMatchObject({ state: "ready" });
    rmSync(file);
    const gone = table(env).get("claude-code");
    expect(gone).toMatchObject({ message: expect.stringContaining(".claude/.credentials.json is gone") });
    expect(JSON.stringify(gone), "no path of the operator's").not.toContain(folder.dir);
  });

  test("a damaged list pays for nothing; a value that no header holds is not repeated", () => {
    writeFileSync(paths().localCredentials, "{ half");
    expect(table({ ANTHROPIC_API_KEY: "k" }).get("claude-code")).toMatchObject({
      fix: expect.stringContaining("Delete it"),
    });
    rmSync(paths().localCredentials);
    codex({ OPENAI_API_KEY: "sk-evil\r\nx: 1" });
    addReferences(paths(), [
      {
        name: "codex-key",
        kind: "openai-key",
        at: { file: join(folder.dir, ".codex/auth.json"), field: ["OPENAI_API_KEY"] },
      },
    ]);
    const upstream = table().get("opencode");
    expect(upstream).toMatchObject({ state: "unready" });
    expect(JSON.stringify(upstream)).not.toContain("evil");
  });

  test("what holds a value shows none", () => {
    claude();
    addReferences(paths(), [referenceOf("claude-code")]);
    const shown = inspect([found(), ownKeys(paths(), {}, NOW), table()], { depth: 9, showHidden: true });
    expect(shown + JSON.stringify([found(), [...table()]])).not.toContain(SIGN_IN);
  });
});

describe("gantry host credentials", () => {
  const gantry = (...args: string[]) => folder.gantry(["host", "credentials", ...args]);
  const later = () => Date.now() + 3_600_000;

  test("lists masked, uses by name, forgets by name", async () => {
    claude(later());
    codex({ OPENAI_API_KEY: "sk-codex-0123456789abcdWXYZ" });
    folder.env.ANTHROPIC_AUTH_TOKEN = "short";
    const list = await gantry();
    expect(list).toMatchObject({ code: 0, stderr: "" });
    expect(list.stdout).toMatch(/^claude-code +can be used +Claude sign-in \(anthropic\) +…0001 .* until \d{4}-/m);
    expect(list.stdout).toMatch(/^codex-key +can be used .*…WXYZ/m);
    expect(list.stdout).not.toMatch(/sk-|short/);
    expect(await gantry("use", "claude-code")).toMatchObject({ code: 0 });
    expect((await gantry()).stdout).toMatch(/^claude-code +in use/m);
    const json = JSON.parse((await gantry("--json")).stdout).credentials;
    expect(json).toContainEqual(expect.objectContaining({ name: "claude-code", state: "in_use", hint: "…0001" }));
    expect((await gantry("forget", "claude-code")).code).toBe(0);
    expect(await gantry("forget", "claude-code")).toMatchObject({ code: 2 });
  });

  test("--yes takes all that works; what does not is refused by name, and one in use that went stays in the list", async () => {
    const file = claude(1);
    codex({ OPENAI_API_KEY: "sk-codex-0123456789abcdWXYZ" });
    expect(await gantry("use", "claude-code")).toMatchObject({ code: 1, stderr: expect.stringContaining("expired") });
    expect(await gantry("use", "nothing")).toMatchObject({ code: 2, stderr: expect.stringContaining("codex-key") });
    expect((await gantry("--yes")).stdout).toBe("In use: codex-key, read where it is at each request.\n");
    claude(later());
    await gantry("use", "claude-code");
    rmSync(file);
    expect((await gantry()).stdout).toMatch(/^claude-code +in use .*is gone/m);
  });
});
