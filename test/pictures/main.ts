/**
 * `npm run pictures`: takes the README's pictures from the running program. Claude Code is the real one, in its container;
 * what its model says stands in story.ts.
 *
 *   npm start with a host ── the story's prompts ──► Chromium on the portal ──► docs/images/NAME.png
 */
import { join } from "node:path";
import type { Page } from "playwright-core";
import { inRepository } from "../../executor-host/local/repository.ts";
import { ensureBaseImage } from "../support/docker-image.ts";
import { Gantry } from "../support/gantry.ts";
import { startModelServer } from "../support/model-server/server.ts";
import { visit } from "../support/portal.ts";
import { PortalBrowser, SCREENS } from "../support/portal-browser.ts";
import { giveClis } from "../support/toolkit.ts";
import { PROMPTS, story } from "./story.ts";

const picture = (page: Page, name: string) => page.screenshot({ path: inRepository("docs", "images", `${name}.png`) });

async function main(): Promise<void> {
  const model = await startModelServer({ story });
  const gantry = new Gantry({
    ...{ GANTRY_IMAGE: await ensureBaseImage(), ANTHROPIC_BASE_URL: model.url, OPENAI_BASE_URL: model.url },
  });
  await giveClis(join(gantry.stateDir, "host", "toolkit"), ["claude-code", "codex-app-server"]);
  const browser = await PortalBrowser.launch();
  try {
    await gantry.start();
    await take(gantry, browser);
  } finally {
    await browser.close();
    await gantry.dispose();
    await model.close();
  }
}

async function take(gantry: Gantry, browser: Awaited<ReturnType<typeof PortalBrowser.launch>>): Promise<void> {
  for (const [title, prompt] of [
    ["Temperatures of a year", "say The warmest week was the thirty-first."],
    ["Why is the build slow?", "say Most of it is one test that waits."],
  ]) {
    const { sessionId } = await gantry.run({ provider: "scripted", prompt: prompt ?? "" });
    await gantry.json(`/api/sessions/${sessionId}`, { method: "PATCH", body: { title } });
  }
  const { session } = await gantry.json<{ session: { id: string } }>("/api/sessions", {
    method: "POST",
    body: { title: "World clock", provider: "claude-code" },
  });
  const sessionId = session.id;
  await gantry.run({ sessionId, prompt: PROMPTS.clock });
  const { page } = await visit(browser, gantry);
  await page.goto(`/s/${sessionId}`);
  await page.getByText("Daylight saving").waitFor();
  const tests = gantry.run({ sessionId, prompt: PROMPTS.tests });
  await page.getByText(/--watch/).waitFor();
  await page.getByText("Saved").first().waitFor();
  await picture(page, "chat");
  await tests;

  await page.goto(`/s/${sessionId}/files?path=src/clock.js`);
  await page.locator("span", { hasText: "formatters" }).first().waitFor();
  await picture(page, "files");

  const ask = { permissionMode: "ask" };
  const commit = gantry.run({ sessionId, prompt: PROMPTS.commit, providerOptions: ask });
  await page.goto(`/s/${sessionId}`);
  await page.getByTestId("permission-card").waitFor();
  await page.locator("[data-testid=permission-card] code span").first().waitFor();
  await picture(page, "permission");
  const phone = await visit(browser, gantry, SCREENS.phone);
  await phone.page.goto(`/s/${sessionId}`);
  await phone.page.locator("[data-testid=permission-card] code span").first().waitFor();
  await picture(phone.page, "phone");
  await page.getByTestId("allow-once").click();
  await commit;

  await page.goto("/hosts");
  await page.getByTestId("provider-matrix").waitFor();
  await picture(page, "hosts");
}

await main();
