/** The credentials page on the real Worker: a value goes in, and the page never has it again. */
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestControlPlane } from "../support/control-plane.ts";
import { PortalBrowser, SCREENS } from "../support/portal-browser.ts";

const VALUE = "sk-ant-typed-by-a-person-0007";
let control: Awaited<ReturnType<typeof startTestControlPlane>>;
let browser: Browser;

beforeAll(async () => {
  control = await startTestControlPlane();
  browser = await PortalBrowser.launch();
});
afterAll(async () => {
  await browser?.close();
  await control?.dispose();
});

it.each(["desktop", "phone"] as const)("[R-2.6] add, rotate and revoke on a %s", async (screen) => {
  const context = await browser.newContext({ ...SCREENS[screen], reducedMotion: "reduce", baseURL: control.url });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const answers: Promise<string>[] = [];
  page.on("response", (response) => {
    if (response.url().includes("/api/credentials")) answers.push(response.text().catch(() => ""));
  });
  await page.goto((await control.bootstrap("signIn")).signInUrl ?? "");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname === "/");
  await page.goto("/credentials");
  await page.getByRole("button", { name: "Add a credential" }).click();
  await page.getByLabel("Name").fill("Team key");
  await page.getByLabel("Value").fill(VALUE);
  await page.getByRole("button", { name: "Add", exact: true }).last().click();
  const row = page.getByTestId("credential-row").filter({ hasText: "Team key" });
  await row.getByText("…0007").waitFor();
  await row.getByText("never used").waitFor();
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
  const folder = process.env.SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `credentials-${screen}.png`) });

  await row.getByRole("button", { name: "Rotate" }).click();
  if (folder) await page.screenshot({ path: join(folder, `rotate-${screen}.png`) });
  await page.getByLabel("Value").fill("sk-ant-the-next-value-0008");
  await page.getByRole("button", { name: "Rotate", exact: true }).last().click();
  await row.getByText("…0008").waitFor();
  await row.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("button", { name: "Revoke", exact: true }).last().click();
  await page.getByText("No credential yet").waitFor();
  expect(await page.content()).not.toContain(VALUE);
  expect((await Promise.all(answers)).join()).not.toContain(VALUE);
  await context.close();
});
