/** What each agent can do: on the hosts page, in the choice of an agent, and as a warning of a run. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { type PortalBrowser, SCREENS } from "../support/portal-browser.ts";
import { prompted, someHosts } from "../support/portal-story.ts";
import { portalSuite } from "../support/portal-suite.ts";
import { finished } from "../support/scripted-portal-server.ts";

let at: PortalBrowser;

portalSuite((each) => {
  at = each;
  at.portal.hosts = someHosts(Date.now());
});

it.each(["desktop", "phone"] as const)(
  "[R-6.4] says who can do what, who is ready, and why not, on a %s",
  async (screen) => {
    const page = await at.page(SCREENS[screen]);
    await page.goto("/hosts");
    const matrix = page.getByTestId("provider-matrix");
    const rows = matrix.locator(screen === "phone" ? "ul > li:has(ul)" : "tbody tr");
    await rows.first().waitFor();
    // Six providers, and the three agents that one of them is known to drive.
    expect(await rows.count()).toBe(9);
    const scripted = rows.filter({ hasText: "Scripted" });
    await scripted.getByText("Ready on one host").waitFor();
    await scripted.getByRole("img", { name: "Begins anew with every prompt" }).waitFor();
    const codex = rows.filter({ hasText: "Codex" }).first();
    await codex.getByText("gantry host toolkit install codex").waitFor();
    await codex.getByRole("img", { name: "Goes on with the earlier conversation" }).waitFor();
    await rows.filter({ hasText: "codex-acp" }).getByRole("img", { name: "May act without asking" }).waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
    const folder = process.env.SCREENSHOTS;
    if (folder) await matrix.screenshot({ path: join(folder, `agents-${screen}.png`) });

    await page.goto("/");
    await page.getByRole("button", { name: /^Agent:/ }).click();
    const option = (name: string) => page.getByRole("menuitemradio", { name });
    await option("Scripted").getByText("Begins anew with every prompt").waitFor();
    expect(await option("Codex").getAttribute("aria-disabled")).toBe("true");
    await option("Codex").getByText("is not installed on this host").waitFor();
    const order = await page.getByRole("menuitemradio").evaluateAll((options) => {
      return options.map((one) => one.getAttribute("aria-disabled") === "true");
    });
    expect(order, "what can be chosen comes first").toEqual(order.toSorted((a, b) => Number(a) - Number(b)));
    if (folder) await page.screenshot({ path: join(folder, `choice-${screen}.png`) });
    await page.getByRole("menuitem", { name: "Set up an agent" }).click();
    await page.waitForURL("**/hosts");
  },
);

it("[R-6.4] a run's warning stays under it when it has ended", async () => {
  const session = at.portal.session("Degraded");
  const runId = session.newRunId();
  const detail = "scripted cannot go on with an earlier conversation; this run begins a new one.";
  session.say([
    prompted(runId, "cmd_1", "Go"),
    { type: "run.status", runId, data: { state: "running", hostId: "hst_00000000000000000001" } },
    { type: "run.status", runId, data: { state: "running", detail, warning: true } },
    finished(runId, "succeeded"),
  ]);
  const page = await at.page();
  await page.goto(`/s/${session.id}`);
  await page.getByTestId("run-footer").waitFor();
  expect(await page.getByTestId("run-warning").innerText()).toBe(detail);
});
