/**
 * The pages of administrators on the real Worker: credentials, whose value goes in and never comes back, and apps, which use
 * them.
 */
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
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

/** A page of its own, signed in. */
async function open(screen: keyof typeof SCREENS): Promise<Page> {
  const context = await browser.newContext({ ...SCREENS[screen], reducedMotion: "reduce", baseURL: control.url });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  await page.goto((await control.bootstrap("signIn")).signInUrl ?? "");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname === "/");
  return page;
}

const fits = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

it.each(["desktop", "phone"] as const)("[R-2.6] add, rotate and revoke on a %s", async (screen) => {
  const page = await open(screen);
  const answers: Promise<string>[] = [];
  page.on("response", (response) => {
    if (response.url().includes("/api/credentials")) answers.push(response.text().catch(() => ""));
  });
  await page.goto("/credentials");
  await page.getByRole("button", { name: "Add a credential" }).click();
  await page.getByLabel("Name").fill("Team key");
  await page.getByLabel("Value").fill(VALUE);
  await page.getByRole("button", { name: "Add", exact: true }).last().click();
  const row = page.getByTestId("credential-row").filter({ hasText: "Team key" });
  await row.getByText("…0007").waitFor();
  await row.getByText("never used").waitFor();
  expect(await fits(page)).toBe(true);
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
  await page.context().close();
});

it.each(["desktop", "phone"] as const)(
  "[R-8.2] an app is added, changed, begins a session, and is deleted on a %s",
  async (screen) => {
    const page = await open(screen);
    const name = `Careful on a ${screen}`;
    const registered = () => page.waitForResponse((response) => response.url().endsWith("/api/apps/register"));
    if (screen === "desktop") await page.getByRole("link", { name: "Apps" }).click();
    else await page.goto("/apps");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    // By keyboard from the name to the end of the form.
    const dialog = page.getByRole("dialog");
    await page.keyboard.type(name);
    await dialog.getByLabel("Agent").selectOption("Scripted");
    await dialog.getByLabel("Model").fill("m-app");
    await dialog.getByLabel("Before it acts").selectOption("It asks people");
    await dialog.getByLabel("More options, as JSON").fill("{ half");
    await dialog.getByText("not the fields of an object").waitFor();
    expect(await dialog.getByRole("button", { name: "Add" }).isDisabled()).toBe(true);
    await dialog.getByLabel("More options, as JSON").fill('{ "effort": "high" }');
    await dialog.getByLabel("Network").selectOption("Listed hosts");
    await dialog.getByLabel("Hosts, one a line").fill("https://github.com/");
    await dialog.getByLabel("Time to answer, minutes").fill("60");
    expect(await fits(page)).toBe(true);
    const folder = process.env.SCREENSHOTS;
    if (folder) await page.screenshot({ path: join(folder, `app-form-${screen}.png`) });
    // What the API refuses is said, and nothing that was typed is lost.
    const [refused] = await Promise.all([registered(), dialog.getByLabel("Model").press("Enter")]);
    expect(refused.status()).toBe(400);
    await dialog.getByText("a host name").waitFor();
    await dialog.getByLabel("Hosts, one a line").fill("github.com\n*.packages.example");
    const [added] = await Promise.all([registered(), dialog.getByLabel("Model").press("Enter")]);
    expect(await added.json()).toMatchObject({
      app: {
        name,
        runtimeDefaults: {
          provider: "scripted",
          model: "m-app",
          providerOptions: { permissionMode: "ask", effort: "high" },
          humanLoopTimeoutMs: 3_600_000,
          networkPolicy: "allowlist",
          allowlist: ["github.com", "*.packages.example"],
        },
      },
    });
    const row = page.getByTestId("app-row").filter({ hasText: name });
    await row.getByText("Scripted, m-app · network: Listed hosts").waitFor();
    await row.getByText("permissionMode: ask").waitFor();

    await row.getByRole("button", { name: "Change" }).click();
    await dialog.getByLabel("Network").selectOption("Nothing");
    await dialog.getByRole("button", { name: "Save" }).click();
    await row.getByText("network: Nothing").waitFor();
    expect(await fits(page)).toBe(true);
    if (folder) await page.screenshot({ path: join(folder, `apps-${screen}.png`) });

    await row.getByRole("button", { name: "New session" }).click();
    await page.waitForURL(/\/s\/ses_/);
    const sessionId = new URL(page.url()).pathname.split("/")[2];
    const { view } = await (await page.request.get(`/api/sessions/${sessionId}`)).json();
    expect(view).toMatchObject({ provider: "scripted", appId: (await added.json()).app.id });

    await page.goto("/apps");
    await row.getByRole("button", { name: "Delete" }).click();
    await dialog.getByText("The sessions that were made with it go on").waitFor();
    await dialog.getByRole("button", { name: "Delete" }).click();
    await expect.poll(() => row.count()).toBe(0);
    expect((await page.request.get(`/api/sessions/${sessionId}`)).status()).toBe(200);
    await page.context().close();
  },
);
