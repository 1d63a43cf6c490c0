/** From a runtime manifest to a plan: what is refused before anything else, and what the layers say. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planRestore } from "#protocol/restore-plan.ts";
import { type RestoreStep, restorePlanBody, runtimeManifestSchema } from "#protocol/runtime-manifest.ts";
import { followLinks, pathFault } from "#protocol/workspace-path.ts";

type Given = { existingPaths?: string[]; existingLinks?: { path: string; target: string }[] };
const plan = (manifest: object, given: Given = {}) =>
  planRestore(restorePlanBody.parse({ manifest: { runtimeVersion: "1.0", ...manifest }, ...given }));
const reasonOf = (manifest: object, given: Given = {}) => {
  const planned = plan(manifest, given);
  return planned.ok ? "planned" : planned.reason;
};
function stepsOf(manifest: object, given: Given = {}): Record<string, RestoreStep[]> {
  const planned = plan(manifest, given);
  if (!planned.ok) throw new Error(planned.message);
  return Object.fromEntries(planned.plan.layers.map(({ layer, steps }) => [layer, steps]));
}

/** Every place in a manifest, and beside it, where a path can stand. */
const places: Record<string, (path: string) => [object, Given?]> = {
  seed: (path) => [{ seedFiles: [{ path, content: "" }] }],
  mount: (path) => [{ mountPoints: [{ path, source: "app" }] }],
  cleanup: (path) => [{ cleanupRules: [{ path }] }],
  required: (path) => [{ requiredPaths: [path] }],
  protected: (path) => [{ protectedPaths: [path] }],
  existing: (path) => [{}, { existingPaths: [path] }],
  link: (path) => [{}, { existingLinks: [{ path, target: "x" }] }],
};
const VECTORS = [
  "",
  "/",
  ".",
  "..",
  "a",
  "workspace/a",
  "./workspace/a",
  "/workspace",
  "/workspace/",
  "/workspacex/a",
  "/Workspace/a",
  "/etc/passwd",
  "//workspace/a",
  "/./workspace/a",
  "/workspace//a",
  "/workspace/a/",
  "/workspace/.",
  "/workspace/./a",
  "/workspace/..",
  "/workspace/../workspace/a",
  "/workspace/a/../../etc",
  "/workspace/a/..",
  "/workspace/..\\..\\etc",
  "/workspace/a\\b",
  "/workspace/a\u0000b",
  "/workspace/a\nb",
  "/workspace/\u001b[2J",
  "/workspace/\ud800",
  "\\workspace\\a",
  "C:\\workspace",
  "file:///workspace/a",
  `/workspace/${"a/".repeat(300)}b`,
];

describe("[R-4.2] a path that is not inside the workspace", () => {
  test.each(Object.keys(places))("is refused as %s, before anything else is said", (place) => {
    for (const vector of VECTORS) {
      const [manifest, given] = places[place]!(vector);
      const also = { requiredPaths: ["/workspace/missing"], ...manifest };
      expect([vector, reasonOf(also, given)]).toEqual([vector, "path_outside_workspace"]);
    }
  });

  test("whatever it is made of", () => {
    const part = fc.constantFrom(
      "..",
      ".",
      "",
      "a",
      "workspace",
      "etc",
      "...",
      "a..b",
      "%2e%2e",
      "\\",
      "\u0000",
      "\u202e",
    );
    const path = fc.array(part, { maxLength: 8 }).map((parts) => `/${parts.join("/")}`);
    fc.assert(
      fc.property(path, (text) => {
        if (pathFault(text) !== undefined) return;
        // What is let through means the same to everyone: resolving it changes nothing, and it stays inside.
        expect(new URL(text.replaceAll("%", "%25"), "file:///").pathname.startsWith("/workspace/")).toBe(true);
        expect(
          text
            .split("/")
            .slice(2)
            .every((name) => name !== "" && name !== "." && name !== ".."),
        ).toBe(true);
        expect(followLinks(text, new Map())).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });

  test("names that only look dangerous are names", () => {
    for (const name of ["...", "..a", "a..", "%2e%2e", "~", "-rf", "日本", " "])
      expect(pathFault(`/workspace/${name}/x`)).toBeUndefined();
  });
});

describe("[R-4.2] a link that leads outside", () => {
  const links = [
    { path: "/workspace/up", target: "../etc" },
    { path: "/workspace/abs", target: "/etc" },
    { path: "/workspace/back", target: "../workspace/ok" },
    { path: "/workspace/one", target: "two" },
    { path: "/workspace/two", target: "one" },
    { path: "/workspace/deep/in", target: "../chain" },
    { path: "/workspace/chain", target: "up/x" },
    { path: "/workspace/ok", target: "real" },
    { path: "/workspace/ok2", target: "/workspace/real/../ok" },
  ];
  test.each(["up", "abs", "back", "one", "deep/in", "chain"])("%s is refused, at it and below it", (name) => {
    for (const path of [`/workspace/${name}`, `/workspace/${name}/file`])
      expect(reasonOf({ seedFiles: [{ path, content: "" }] }, { existingLinks: links })).toBe("link_outside_workspace");
  });
  test.each(["ok", "ok2"])("%s stays inside", (name) => {
    const given = { existingLinks: links };
    expect(reasonOf({ cleanupRules: [{ path: `/workspace/${name}/file` }] }, given)).toBe("planned");
  });
  test("one that nothing goes through does not matter", () => {
    expect(
      reasonOf({ requiredPaths: ["/workspace/up2"] }, { existingLinks: links, existingPaths: ["/workspace/up2"] }),
    ).toBe("planned");
  });
});

describe("[R-4.1] the manifest", () => {
  test("is strict, and keeps the session's files unless it says otherwise", () => {
    const manifest = runtimeManifestSchema.parse({ runtimeVersion: "1.0" });
    expect(manifest).toMatchObject({ conflictPolicy: "keep_session", seedFiles: [], requiredPaths: [] });
    expect(runtimeManifestSchema.safeParse({ runtimeVersion: "1.0", extra: 1 }).success).toBe(false);
    expect(runtimeManifestSchema.safeParse({}).success).toBe(false);
    expect(runtimeManifestSchema.safeParse({ runtimeVersion: "latest" }).success).toBe(false);
    const seed = { path: "/workspace/a", content: "", mode: 0o4755 };
    expect(runtimeManifestSchema.safeParse({ runtimeVersion: "1.0", seedFiles: [seed] }).success).toBe(false);
  });

  test("of another major version is refused, even before its paths are read", () => {
    expect(reasonOf({ runtimeVersion: "1.9" })).toBe("planned");
    expect(reasonOf({ runtimeVersion: "2.0", requiredPaths: ["/etc"] })).toBe("runtime_version_mismatch");
  });

  test.each([
    ["a seed twice", { seedFiles: [1, 2].map(() => ({ path: "/workspace/a", content: "" })) }],
    ["a seed in a seed", { seedFiles: ["/workspace/a", "/workspace/a/b"].map((path) => ({ path, content: "" })) }],
    [
      "a seed under a mount",
      {
        seedFiles: [{ path: "/workspace/m/a", content: "" }],
        mountPoints: [{ path: "/workspace/m", source: "base" }],
      },
    ],
    ["cleaning what is protected", { cleanupRules: [{ path: "/workspace/a/b" }], protectedPaths: ["/workspace/a"] }],
    [
      "cleaning above a mount",
      { cleanupRules: [{ path: "/workspace/a" }], mountPoints: [{ path: "/workspace/a/m", source: "app" }] },
    ],
  ])("that contradicts itself is refused: %s", (_what, manifest) => {
    expect(reasonOf(manifest)).toBe("manifest_contradicts_itself");
  });
});

describe("[R-4.2] the five layers", () => {
  const manifest = {
    mountPoints: [
      { path: "/workspace/.base", source: "base" },
      { path: "/workspace/.gantry", source: "agent-data", readOnly: false },
    ],
    seedFiles: [
      { path: "/workspace/LICENSE", content: "MIT", layer: "base" },
      { path: "/workspace/config.json", content: "{}" },
    ],
    cleanupRules: [{ path: "/workspace/tmp", remove: "contents" }],
    protectedPaths: ["/workspace/tmp/keep"],
    requiredPaths: ["/workspace/config.json"],
  };

  test("come in order, each with its own", () => {
    expect(stepsOf(manifest)).toEqual({
      L0: [
        { action: "mount", path: "/workspace/.base", source: "base", readOnly: true },
        { action: "seed", path: "/workspace/LICENSE", mode: 0o644, bytes: 3 },
      ],
      L1: [{ action: "seed", path: "/workspace/config.json", mode: 0o644, bytes: 2 }],
      L2: [{ action: "mount", path: "/workspace/.gantry", source: "agent-data", readOnly: false }],
      L3: [{ action: "restore_session" }],
      L4: [
        { action: "remove", path: "/workspace/tmp", contents: true, except: ["/workspace/tmp/keep"] },
        { action: "require", path: "/workspace/config.json" },
      ],
    });
  });

  const given = { existingPaths: ["/workspace/config.json"] };
  test("keep_session: what the session has stays", () => {
    expect(stepsOf(manifest, given).L1).toEqual([{ action: "keep", path: "/workspace/config.json", why: "session" }]);
  });
  test("overwrite: the seed is written again on top, unless it is protected", () => {
    const over = { ...manifest, conflictPolicy: "overwrite" };
    expect(stepsOf(over, given)).toMatchObject({
      L1: [],
      L4: [{ action: "replace", path: "/workspace/config.json" }, {}, {}],
    });
    const kept = { ...over, protectedPaths: ["/workspace/config.json"] };
    expect(stepsOf(kept, given).L4?.[0]).toEqual({ action: "keep", path: "/workspace/config.json", why: "protected" });
  });
  test("fail: the plan is refused", () => {
    expect(reasonOf({ ...manifest, conflictPolicy: "fail" }, given)).toBe("path_conflict");
    expect(reasonOf({ ...manifest, conflictPolicy: "fail" })).toBe("planned");
  });
});

describe("[R-4.3] required paths", () => {
  const missing = (manifest: object, given: Given = {}) => {
    const planned = plan(manifest, given);
    return planned.ok ? [] : "missing" in planned ? planned.missing : planned.reason;
  };
  test("that nobody brings are listed, in their order", () => {
    const requiredPaths = ["/workspace/b", "/workspace/a", "/workspace/c"];
    expect(missing({ requiredPaths }, { existingPaths: ["/workspace/a"] })).toEqual(["/workspace/b", "/workspace/c"]);
  });
  test("are there when the session, a seed or a mount has them, or something in them", () => {
    const manifest = {
      requiredPaths: ["/workspace/src", "/workspace/etc/app", "/workspace/data"],
      seedFiles: [{ path: "/workspace/etc/app/x.json", content: "" }],
      mountPoints: [{ path: "/workspace/data", source: "app" }],
    };
    expect(missing(manifest, { existingPaths: ["/workspace/src/deep/main.ts"] })).toEqual([]);
  });
  test("do not count when they are cleaned up again", () => {
    const requiredPaths = ["/workspace/tmp", "/workspace/tmp/a", "/workspace/tmp/keep"];
    const manifest = { requiredPaths, protectedPaths: ["/workspace/tmp/keep"] };
    const given = { existingPaths: ["/workspace/tmp/a", "/workspace/tmp/keep/x"] };
    expect(missing({ ...manifest, cleanupRules: [{ path: "/workspace/tmp" }] }, given)).toEqual(["/workspace/tmp/a"]);
    const contents = { path: "/workspace/tmp", remove: "contents" };
    expect(missing({ requiredPaths: ["/workspace/tmp"], cleanupRules: [contents] }, given)).toEqual([]);
  });
});
