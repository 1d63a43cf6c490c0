import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import type { DeliveredCredential } from "#protocol/credentials.ts";
import { type Settings, type Upstream, upstreamsFrom, withKinds } from "../../../executor-host/egress/credentials.ts";

const claude = (settings: Settings): Upstream => upstreamsFrom(settings).get("claude-code") as Upstream;
const codex = (settings: Settings): Upstream => upstreamsFrom(settings).get("codex-app-server") as Upstream;
const keyOf = (upstream: Upstream) => (upstream.state === "ready" ? upstream.keyHeaders() : upstream);
const baseOf = (upstream: Upstream) => (upstream.state === "ready" ? upstream.baseUrl.href : upstream);

describe("from settings to upstreams", () => {
  test("each vendor's key goes into its own header", () => {
    expect(keyOf(claude({ ANTHROPIC_API_KEY: " sk-a\n" }))).toEqual({ "x-api-key": "sk-a" });
    expect(keyOf(claude({ ANTHROPIC_AUTH_TOKEN: "tok" }))).toEqual({ authorization: "Bearer tok" });
    expect(keyOf(claude({ ANTHROPIC_API_KEY: "sk-a", ANTHROPIC_AUTH_TOKEN: "tok" }))).toEqual({ "x-api-key": "sk-a" });
    expect(keyOf(codex({ OPENAI_API_KEY: "sk-o" }))).toEqual({ authorization: "Bearer sk-o" });
  });

  test("the base is the vendor's own unless the operator says otherwise", () => {
    expect(baseOf(claude({ ANTHROPIC_API_KEY: "k" }))).toBe("https://api.anthropic.com/");
    expect(baseOf(codex({ OPENAI_API_KEY: "k" }))).toBe("https://api.openai.com/v1");
    expect(baseOf(codex({ OPENAI_API_KEY: "k", OPENAI_BASE_URL: "http://gw.lan:4000/v1" }))).toBe(
      "http://gw.lan:4000/v1",
    );
  });

  test("no key: unready, naming the variables", () => {
    expect(claude({ ANTHROPIC_API_KEY: " " })).toEqual({
      state: "unready",
      vendor: "anthropic",
      reason: "auth_missing",
      message: "There is no key for api.anthropic.com.",
      fix: "Add one under Credentials in the portal, or set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN in the environment of the host's daemon, and start it again.",
    });
    expect(codex({ OPENAI_BASE_URL: "http://10.0.0.8/v1" })).toMatchObject({ reason: "auth_missing" });
  });

  test.each(["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:1", "http://127.1:9"])(
    "a model server on this machine (%s) may go without a key",
    (base) => {
      expect(keyOf(claude({ ANTHROPIC_BASE_URL: base }))).toEqual({});
      expect(keyOf(claude({ ANTHROPIC_BASE_URL: base, ANTHROPIC_API_KEY: "k" }))).toEqual({ "x-api-key": "k" });
    },
  );

  test.each(["http://localhost.evil.example", "http://127.0.0.1.evil.example", "http://128.0.0.1"])(
    "%s is not on this machine",
    (base) => {
      expect(claude({ ANTHROPIC_BASE_URL: base })).toMatchObject({ reason: "auth_missing" });
    },
  );

  test.each(["not a url", "ftp://x", "file:///etc/passwd", "http://user:pw@x", "http://x/?a=1", "http://x/#a"])(
    "%s is no base URL; the other providers do not suffer, and its text is not repeated",
    (base) => {
      const table = upstreamsFrom({ ANTHROPIC_BASE_URL: base, ANTHROPIC_API_KEY: "k", OPENAI_API_KEY: "k" });
      expect(table.get("claude-code")).toMatchObject({ state: "unready", reason: "misconfigured" });
      expect(JSON.stringify(table.get("claude-code"))).not.toContain(base);
      expect(table.get("codex-app-server")).toMatchObject({ state: "ready" });
    },
  );

  test("a key that no header can hold is refused without being quoted", () => {
    const upstream = claude({ ANTHROPIC_API_KEY: "sk-a\r\nx-evil: 1" });
    expect(upstream).toMatchObject({ state: "unready", reason: "misconfigured" });
    expect(JSON.stringify(upstream)).not.toContain("sk-a");
  });

  test("a key is not shown by serialising, inspecting or listing what holds it", () => {
    const table = upstreamsFrom({ ANTHROPIC_API_KEY: "sk-canary", OPENAI_API_KEY: "sk-canary" });
    const shown = [
      JSON.stringify([...table]),
      inspect(table, { depth: 9, showHidden: true }),
      String(table.get("openai")),
    ];
    for (const text of shown) expect(text).not.toContain("canary");
    expect(JSON.stringify(table.get("openai"))).toContain("[redacted]");
  });
});

describe("delivered credentials", () => {
  const delivered = (change: Partial<DeliveredCredential> = {}): DeliveredCredential[] => [
    { id: "crd_00000000000000000000", kind: "anthropic", value: "sk-delivered", ...change },
  ];
  const upstream = (settings: Settings, credentials: DeliveredCredential[], name = "claude-code") =>
    upstreamsFrom(settings, credentials).get(name) as Upstream;

  test("come before the operator's own key, and go to the operator's address unless they name one", () => {
    const own = { ANTHROPIC_API_KEY: "sk-own", ANTHROPIC_BASE_URL: "http://127.0.0.1:9" };
    expect(keyOf(upstream(own, delivered()))).toEqual({ "x-api-key": "sk-delivered" });
    expect(baseOf(upstream(own, delivered()))).toBe("http://127.0.0.1:9/");
    expect(upstream(own, delivered())).toMatchObject({ publicOnly: false, credentialId: "crd_00000000000000000000" });
    expect(keyOf(upstream({ OPENAI_API_KEY: "sk-o" }, delivered(), "opencode"))).toEqual({
      authorization: "Bearer sk-o",
    });
  });

  test("an address that came with one is dialled only where it is public, unless the operator says the same one", () => {
    const compatible = delivered({ kind: "openai-compatible", baseUrl: "http://10.0.0.7:8000/v1" });
    const at = (settings: Settings) => upstream(settings, compatible, "opencode");
    expect(at({})).toMatchObject({ publicOnly: true });
    expect(baseOf(at({}))).toBe("http://10.0.0.7:8000/v1");
    expect(at({ OPENAI_BASE_URL: "http://10.0.0.7:8000/other" })).toMatchObject({ publicOnly: false });
  });

  test("a key that is delivered is not shown by serialising or inspecting either", () => {
    const table = upstreamsFrom({}, delivered());
    expect(`${JSON.stringify([...table])} ${inspect(table, { depth: 9, showHidden: true })}`).not.toContain(
      "delivered",
    );
  });

  test("a host without keys is ready for what could be delivered, and for nothing else", () => {
    const table = withKinds(upstreamsFrom({}), ["openai-compatible"]);
    expect(table.get("opencode")).toMatchObject({ state: "ready" });
    expect(table.get("opencode")).toSatisfy((upstream: Upstream) => Object.keys(keyOf(upstream)).length === 0);
    expect(table.get("claude-code")).toMatchObject({ state: "unready" });
    const broken = withKinds(upstreamsFrom({ OPENAI_BASE_URL: "ftp://x" }), ["openai"]);
    expect(broken.get("opencode")).toMatchObject({ reason: "misconfigured" });
  });
});
