/** What a host says it is ready for, from what is installed and which keys are set. */
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { upstreamsFrom } from "../../executor-host/egress/credentials.ts";
import { providerReadiness } from "../../executor-host/providers.ts";

async function readinessWith(settings: Record<string, string>) {
  const root = await mkdtemp(path.join(os.tmpdir(), "gp-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  return providerReadiness({ root, toolkit: path.join(root, "toolkit") }, upstreamsFrom(settings));
}

test("Gantry's own agent is ready with the key of any one vendor and no CLI", async () => {
  for (const variable of ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
    expect((await readinessWith({ [variable]: "sk-x" })).native).toEqual({ state: "ready" });
});

test("without any key it says which ones it could take", async () => {
  const { native } = await readinessWith({});
  expect(native).toMatchObject({ state: "environment_not_ready", fix: expect.stringContaining("daemon") });
  expect(native?.reason).toContain("OPENAI_API_KEY");
  expect(native?.reason).toContain("ANTHROPIC_API_KEY");
});
