import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { statePaths } from "../../../executor-host/config.ts";
import { providerReadiness } from "../../../executor-host/providers.ts";
import { installCommand } from "../../../executor-host/toolkit/install-command.ts";

const from = { cwd: "/srv/gantry", home: "/srv/me" };

test.each([
  ["the default folder", "/srv/me/.gantry/host", "gantry host toolkit install claude-code"],
  [
    "npm start's folder, in the clone",
    "/srv/gantry/.gantry/host",
    "npx gantry host toolkit install claude-code --state .gantry/host",
  ],
  [
    "a folder that is nearer from the root",
    "/var/lib/g",
    "npx gantry host toolkit install claude-code --state /var/lib/g",
  ],
  ["the folder itself", "/srv/gantry", "npx gantry host toolkit install claude-code --state ."],
])("%s", (_name, stateDir, command) => {
  expect(installCommand("claude-code", stateDir, from)).toBe(command);
});

test("whatever the folder is called, a shell reads it as one word", () => {
  const odd = "/srv/gantry/it's $HOME `x` dir";
  const command = installCommand("claude-code", odd, from);
  const { stdout } = spawnSync("sh", ["-c", command.replace(/^npx gantry/, "printf '%s\\n'")], { encoding: "utf8" });
  expect(stdout.trim().split("\n").at(-1)).toBe("it's $HOME `x` dir");
});

test("the fix that people see is that command", async () => {
  const paths = statePaths("/srv/nowhere/host");
  expect((await providerReadiness(paths, new Map()))["claude-code"]).toMatchObject({
    fix: installCommand("claude-code", paths.root),
  });
});
