import { describe, expect, test } from "vitest";
import { isPublicAddress } from "../../../executor-host/egress/addresses.ts";
import { upstreamsFrom } from "../../../executor-host/egress/credentials.ts";
import { fenced } from "../../../executor-host/egress/fence.ts";
import { decideConnect, decideHttp, type NetworkPolicy, narrowed } from "../../../executor-host/egress/policy.ts";

const upstreams = upstreamsFrom({
  ANTHROPIC_API_KEY: "k1",
  OPENAI_API_KEY: "k2",
  ANTHROPIC_BASE_URL: "https://gateway.example/team/a/",
});
const providers: NetworkPolicy = { mode: "providers" };
const allowlist: NetworkPolicy = {
  mode: "allowlist",
  hosts: ["github.com", "*.packages.example", "Mirror.example:8443", "[2606::1]:443"],
};
const policies: Record<string, NetworkPolicy> = {
  none: { mode: "none" },
  providers,
  allowlist,
  open: { mode: "open" },
};

describe("the policy table", () => {
  test.each([
    ["none", false, false, false],
    ["providers", true, false, false],
    ["allowlist", true, true, false],
    ["open", true, true, true],
  ])("%s: provider %s, listed name %s, any name %s", (mode, provider, listed, any) => {
    const policy = policies[mode] as NetworkPolicy;
    const asked = decideHttp(policy, upstreams, "POST", "/provider/claude-code/v1/messages");
    expect(asked.kind).toBe(provider ? "forward" : "denied");
    expect(decideConnect(policy, "github.com:443").kind).toBe(listed ? "tunnel" : "denied");
    expect(decideConnect(policy, "elsewhere.example:443").kind).toBe(any ? "tunnel" : "denied");
  });
});

describe("a run's own provider", () => {
  test.each([
    [undefined, []],
    ["scripted", []],
    ["claude-code", ["claude-code"]],
    ["codex-app-server", ["codex-app-server"]],
    ["opencode", ["opencode"]],
    ["native", ["native", "anthropic", "openai"]],
    ["acp", ["anthropic", "openai"]],
  ] as const)("is all that it reaches: %s", (provider, names) => {
    const table = fenced(upstreams, provider);
    expect([...table.keys()].sort()).toEqual([...names].sort());
    for (const name of upstreams.keys()) {
      const { kind } = decideHttp(providers, table, "GET", `/provider/${name}/v1/models`);
      expect(kind, name).toBe((names as readonly string[]).includes(name) ? "forward" : "denied");
    }
  });
});

describe("provider requests", () => {
  test.each([
    ["POST", "/provider/claude-code/v1/messages?beta=true", "https://gateway.example/team/a/v1/messages?beta=true"],
    ["POST", "/provider/anthropic/v1/messages/count_tokens", "https://gateway.example/team/a/v1/messages/count_tokens"],
    ["GET", "/provider/claude-code/v1/models/claude-x.1:2", "https://gateway.example/team/a/v1/models/claude-x.1:2"],
    ["HEAD", "/provider/claude-code/api/hello", "https://gateway.example/team/a/api/hello"],
    ["POST", "/provider/codex-app-server/responses", "https://api.openai.com/v1/responses"],
    ["POST", "/provider/opencode/chat/completions", "https://api.openai.com/v1/chat/completions"],
    ["GET", "/provider/openai/models?client_version=1", "https://api.openai.com/v1/models?client_version=1"],
  ])("%s %s goes to %s", (method, target, url) => {
    const decision = decideHttp(providers, upstreams, method, target);
    expect(decision.kind === "forward" ? decision.url.href : decision).toBe(url);
  });

  test.each([
    ["GET", "/", "not_a_provider_path"],
    ["GET", "/health", "not_a_provider_path"],
    ["GET", "http://169.254.169.254/latest/meta-data", "not_a_provider_path"],
    ["POST", "https://evil.example/provider/claude-code/v1/messages", "not_a_provider_path"],
    ["POST", "//evil.example/provider/claude-code/v1/messages", "not_a_provider_path"],
    ["POST", "/provider/claude-code", "not_a_provider_path"],
    ["POST", "/provider/../v1/messages", "not_a_provider_path"],
    ["POST", "/provider/nobody/v1/messages", "unknown_provider"],
    ["POST", "/provider/constructor/v1/messages", "unknown_provider"],
    ["DELETE", "/provider/claude-code/v1/messages", "provider_path"],
    ["POST", "/provider/claude-code/v1/files", "provider_path"],
    ["GET", "/provider/claude-code/v1/organizations/users", "provider_path"],
    ["POST", "/provider/claude-code/v1/messages/batches", "provider_path"],
    ["POST", "/provider/claude-code//evil.example/v1/messages", "provider_path"],
    ["POST", "/provider/claude-code/@evil.example/v1/messages", "provider_path"],
    ["POST", "/provider/claude-code/../../v1/messages", "provider_path"],
    ["POST", "/provider/claude-code/v1/messages/%2e%2e/files", "provider_path"],
    ["POST", "/provider/claude-code/v1\\messages", "provider_path"],
    ["GET", "/provider/claude-code/v1/models/..", "malformed"],
    ["GET", "/provider/claude-code/v1/models/.", "malformed"],
  ])("%s %s is refused: %s", (method, target, rule) => {
    expect(decideHttp(providers, upstreams, method, target)).toMatchObject({ kind: "denied", rule });
  });

  test("a provider without a key is not denied but unready, so that the CLI can say what to set", () => {
    const decision = decideHttp(providers, upstreamsFrom({}), "POST", "/provider/claude-code/v1/messages");
    expect(decision).toMatchObject({ kind: "unready", upstream: { reason: "auth_missing" } });
  });
});

describe("CONNECT", () => {
  test.each([
    ["github.com:443", true],
    ["GitHub.com.:443", true],
    ["registry.packages.example:443", true],
    ["a.b.packages.example:443", true],
    ["mirror.example:8443", true],
    ["[2606::1]:443", false],
    ["packages.example:443", false],
    ["evilpackages.example:443", false],
    ["github.com.evil.example:443", false],
    ["api.github.com:443", false],
    ["github.com:22", false],
    ["mirror.example:443", false],
  ])("the list and %s: %s", (authority, listed) => {
    expect(decideConnect(allowlist, authority).kind).toBe(listed ? "tunnel" : "denied");
  });

  test.each([
    "",
    "github.com",
    "github.com:",
    "github.com:0",
    "github.com:65536",
    "github.com:443/x",
    "a b:443",
    "a@b:443",
    "http://a:1",
    "[::1:443",
    "-:1",
  ])("%j is malformed", (authority) => {
    expect(decideConnect({ mode: "open" }, authority)).toMatchObject({ kind: "denied", rule: "malformed" });
  });
});

describe("public addresses", () => {
  test.each(["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450:4001::1"])(
    "%s is",
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );

  test.each([
    ...["0.0.0.0", "127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"],
    ...[
      "169.254.169.254",
      "100.100.100.200",
      "168.63.129.16",
      "192.0.0.192",
      "198.18.0.1",
      "224.0.0.1",
      "255.255.255.255",
    ],
    ...[
      "::",
      "::1",
      "::ffff:1.1.1.1",
      "::ffff:127.0.0.1",
      "64:ff9b::7f00:1",
      "fe80::1",
      "fe80::1%eth0",
      "fc00::1",
      "fd00:ec2::254",
    ],
    ...["ff02::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "3fff::1", "2606:4700::1%1"],
    ...["", "localhost", "0x7f.1", "2130706433", "127.1", "1.1.1.1:80"],
  ])("%j is not", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});

describe("an app's policy within the operator's", () => {
  const list = (...hosts: string[]): NetworkPolicy => ({ mode: "allowlist", hosts });
  test.each<[NetworkPolicy, NetworkPolicy, NetworkPolicy]>([
    [{ mode: "open" }, { mode: "none" }, { mode: "none" }],
    [{ mode: "none" }, { mode: "open" }, { mode: "none" }],
    [{ mode: "open" }, { mode: "providers" }, { mode: "providers" }],
    [list("a.example"), { mode: "providers" }, { mode: "providers" }],
    [{ mode: "providers" }, { mode: "open" }, { mode: "providers" }],
    [list("a.example"), { mode: "open" }, list("a.example")],
    [{ mode: "open" }, list("b.example"), list("b.example")],
    [list("a.example"), list("b.example"), { mode: "allowlist", hosts: ["a.example"], within: ["b.example"] }],
  ])("%j within %j is %j", (app, operator, expected) => expect(narrowed(app, operator)).toEqual(expected));

  test("two lists let through what stands on both", () => {
    const both = narrowed(list("a.example", "b.example"), list("*.example"));
    expect(decideConnect(both, "a.example:443")).toMatchObject({ kind: "tunnel" });
    const apart = narrowed(list("a.example"), list("b.example"));
    for (const host of ["a.example", "b.example"])
      expect(decideConnect(apart, `${host}:443`)).toMatchObject({ rule: "not_listed" });
  });
});
