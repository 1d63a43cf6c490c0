import { expect, test } from "vitest";
import { appRecord, registerAppBody } from "#protocol/apps.ts";
import { appOf, draftOf, optionsOf } from "../../web/apps/app-draft.ts";

const app = appRecord.parse({
  id: "app_00000000000000000000",
  name: "coder",
  description: "codes",
  visibility: "private",
  vmMode: "docker",
  runtimeDefaults: {
    provider: "claude-code",
    model: "opus",
    providerOptions: { permissionMode: "ask", effort: "high" },
    credentialId: "crd_00000000000000000000",
    timeouts: { "claude-code": 5_000, "*": 90_000 },
    humanLoopTimeoutMs: 3_600_000,
    networkPolicy: "allowlist",
    allowlist: ["github.com", "*.packages.example:8443"],
  },
  createdAt: 1,
  updatedAt: 2,
  canUse: true,
});

test("saved as it was opened, an app is what it was, also where the form shows nothing of it", () => {
  const { name, description, visibility, vmMode, runtimeDefaults } = app;
  expect(appOf(draftOf(app), app)).toEqual({ name, description, visibility, vmMode, runtimeDefaults });
});

test("what is left empty is left to others, and the API takes it", () => {
  const made = appOf(
    { ...draftOf(undefined), name: " new ", runMinutes: "0", allowlist: "a.example,\n b.example\n" },
    undefined,
  );
  expect(made).toEqual({
    name: "new",
    description: "",
    visibility: "organization",
    vmMode: null,
    runtimeDefaults: { networkPolicy: "providers", allowlist: ["a.example", "b.example"] },
  });
  expect(registerAppBody.safeParse(made).success).toBe(true);
});

test("a limit that is taken away is gone, and no other goes with it", () => {
  const changed = appOf({ ...draftOf(app), runMinutes: "", answerMinutes: "" }, app);
  expect(changed.runtimeDefaults).toMatchObject({ timeouts: { "claude-code": 5_000 } });
  expect(changed.runtimeDefaults).not.toHaveProperty("humanLoopTimeoutMs");
});

test("the agent's options are shown whole, and only an object in JSON is understood", () => {
  expect(draftOf(app)).toMatchObject({ permissionMode: "ask", options: '{\n  "effort": "high"\n}' });
  const options = (text: string, permissionMode = "") => optionsOf({ permissionMode, options: text });
  expect(options('{ "maxTurns": 5 }', "bypass")).toEqual({ maxTurns: 5, permissionMode: "bypass" });
  expect(options("  ")).toEqual({});
  expect([options("{"), options("[]"), options("5"), options("null")]).toEqual(Array(4).fill(undefined));
  const changed = appOf({ ...draftOf(app), permissionMode: "", options: "" }, app);
  expect(changed.runtimeDefaults).not.toHaveProperty("providerOptions");
});
