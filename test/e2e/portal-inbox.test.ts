/** The inbox: what waits for people over all sessions, answered without opening any of them. */
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { type PortalBrowser, SCREENS } from "../support/portal-browser.ts";
import { clockRun, deployRun, permission, question } from "../support/portal-story.ts";
import { portalSuite } from "../support/portal-suite.ts";
import type { ScriptedSession } from "../support/scripted-portal-server.ts";

const PERMISSION = "req_00000000000000000001-0000000001";
const QUESTION = "req_00000000000000000002-0000000001";

let at: PortalBrowser;
let clock: ScriptedSession;
let deploy: ScriptedSession;

portalSuite((each) => {
  at = each;
  clock = waiting("World clock", permission, PERMISSION);
  deploy = waiting("Deploy the docs", question, QUESTION);
});

function waiting(title: string, ask: typeof permission, requestId: string): ScriptedSession {
  const session = at.portal.session(title, { provider: "claude-code" });
  session.say(clockRun(session.newRunId()));
  const runId = session.newRunId();
  session.say([...deployRun(runId), ...ask(runId, requestId)]);
  return session;
}

const rows = (page: Page) => page.getByTestId("inbox-row");
const row = (page: Page, title: string) => rows(page).filter({ hasText: title });

describe.each(["desktop", "phone"] as const)("[R-6.6] the inbox on a %s", (screen) => {
  it("shows every request whole, and takes the answers", async () => {
    const page = await at.page(SCREENS[screen]);
    await page.goto("/inbox");
    await row(page, "World clock").getByText("scp clock.html staging:/srv/www/clock.html").waitFor();
    expect(await rows(page).count()).toBe(2);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
    await row(page, "World clock").getByTestId("allow-once").click();
    await expect.poll(() => rows(page).count()).toBe(1);
    await row(page, "Deploy the docs").getByLabel("staging-eu").check();
    await row(page, "Deploy the docs").getByTestId("answer").click();
    await page.getByText("Nobody waits for you").waitFor();
    expect(at.portal.commands).toMatchObject([
      { type: "reply", reply: { requestId: PERMISSION, decision: "allow", scope: "once" } },
      { type: "reply", reply: { requestId: QUESTION, decision: "answer", answers: ["eu"] } },
    ]);
    expect([clock.view.pending, deploy.view.pending]).toEqual([[], []]);
    expect(at.complaints).toEqual([]);
  });
});

describe("[R-6.6] the inbox", () => {
  it("lets an answered request go at once, also when the index still has it", async () => {
    const page = await at.page();
    const first = page.waitForResponse("**/api/human-loop/pending");
    await page.goto("/inbox");
    const stale = await (await first).text();
    let asked = 0;
    await page.route("**/api/human-loop/pending", (route) => {
      asked++;
      return route.fulfill({ contentType: "application/json", body: stale });
    });
    await row(page, "World clock").getByTestId("allow-once").click();
    await row(page, "World clock").waitFor({ state: "detached" });
    await expect.poll(() => asked).toBeGreaterThan(0);
    expect(await rows(page).count()).toBe(1);
  });

  it("is counted in the sidebar, reached with g i, and leads to the session", async () => {
    const page = await at.page();
    await page.goto("/");
    await page.getByTestId("inbox-count").getByText("2", { exact: false }).waitFor();
    // Typing goes into the prompt otherwise.
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
    await page.keyboard.press("g");
    await page.keyboard.press("i");
    await rows(page).first().waitFor();
    await row(page, "World clock").getByRole("link", { name: "World clock" }).click();
    await page.getByTestId("permission-card").waitFor();
    expect(page.url()).toBe(`${at.portal.origin}/s/${clock.id}`);
  });

  it("takes no Enter for a yes", async () => {
    const page = await at.page();
    await page.goto("/inbox");
    await rows(page).nth(1).waitFor();
    await page.keyboard.press("Enter");
    await row(page, "World clock").getByTestId("permission-card").focus();
    await page.keyboard.press("Enter");
    // The link is the next thing that Enter may use; going there shows that the keys were heard.
    await row(page, "World clock").getByRole("link").focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/s/${clock.id}`);
    expect(at.portal.commands).toEqual([]);
    expect(clock.view.pending).toHaveLength(1);
  });

  it("says who was quicker", async () => {
    const page = await at.page();
    await page.goto("/inbox");
    await row(page, "World clock").getByTestId("allow-once").waitFor();
    const runId = clock.view.pending[0]?.runId ?? "";
    const by = { id: "g", name: "Grace" };
    const data = { requestId: PERMISSION, decision: "deny" as const, by };
    clock.say([{ type: "human_loop.resolved", runId, data }]);
    await row(page, "World clock").getByTestId("allow-once").click();
    await page.getByText("Denied by Grace a moment ago.").waitFor();
    await expect.poll(() => rows(page).count()).toBe(1);
  });
});
