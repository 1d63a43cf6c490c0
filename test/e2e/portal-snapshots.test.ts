import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { type PortalBrowser, SCREENS } from "../support/portal-browser.ts";
import { clockRun, deployRun, HOST_ID, someHosts } from "../support/portal-story.ts";
import { portalSuite } from "../support/portal-suite.ts";
import { finished, type ScriptedSession } from "../support/scripted-portal-server.ts";

let at: PortalBrowser;

portalSuite((each) => {
  at = each;
});

const HOUR = 60 * 60_000;

/** Four snapshots, the first of them given up; two runs. Ids oldest first. */
function savedSession(): { session: ScriptedSession; ids: string[] } {
  const session = at.portal.session("World clock");
  const now = Date.now();
  const first = session.newRunId();
  session.say(clockRun(first));
  const ids = [session.save(first, now - 50 * HOUR), session.save(first, now - 49 * HOUR)];
  const second = session.newRunId();
  session.say([...deployRun(second), finished(second, "succeeded")]);
  ids.push(session.save(second, now - 2 * HOUR), session.save(second, now - HOUR));
  session.snapshots.find(({ id }) => id === ids[0])!.prunedAt = now - 20 * HOUR;
  session.files.set("src/clock.ts", "export const zone = 'Asia/Tokyo';\n");
  session.filesAt.set(ids[1]!, new Map([["src/clock.ts", "export const zone = 'UTC';\n"]]));
  session.changes = (from, to) =>
    from === ids[1] && to === ids[3]
      ? [
          {
            path: "src/clock.ts",
            change: "modified",
            kind: "file",
            sizeBefore: 3,
            sizeAfter: 4,
            text: { state: "binary" },
          },
        ]
      : [];
  return { session, ids };
}

const row = (page: Page, id: string | undefined) => page.locator(`[data-snapshot="${id}"]`);
const inside = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

describe.each(["desktop", "phone"] as const)("snapshots on a %s", (screen) => {
  it("are listed with the files: what each was, and which is no longer kept", async () => {
    const { session, ids } = savedSession();
    const page = await at.page(SCREENS[screen]);
    await page.goto(`/s/${session.id}/files`);
    await page.getByTestId("snapshots").click();
    const list = page.getByTestId("snapshot-list");
    await list.waitFor();
    const rows = await list.locator("li").allInnerTexts();
    expect(rows).toHaveLength(4);
    expect(rows[0]).toMatch(/Newest[\s\S]*1 file, 1 B · after “/);
    expect(rows[3]).toMatch(/No longer kept/);
    expect(await row(page, ids[0]).getByRole("button").count()).toBe(0);
    expect(await inside(page)).toBe(true);
    await page.keyboard.press("Escape");
    await list.waitFor({ state: "detached" });
    expect(at.complaints).toEqual([]);
  });

  it("are pinned and let go", async () => {
    const { session, ids } = savedSession();
    const page = await at.page(SCREENS[screen]);
    await page.goto(`/s/${session.id}/files`);
    await page.getByTestId("snapshots").click();
    await row(page, ids[1]).getByRole("button", { name: /^Pin/ }).click();
    await row(page, ids[1]).getByText("Pinned by Ada").waitFor();
    await row(page, ids[1])
      .getByRole("button", { name: /^Unpin/ })
      .click();
    await row(page, ids[1]).getByText("Pinned by Ada").waitFor({ state: "detached" });
    expect(at.portal.requests.filter((request) => request.includes("/pin"))).toEqual([
      `POST /api/snapshots/${ids[1]}/pin`,
      `DELETE /api/snapshots/${ids[1]}/pin`,
    ]);
    expect(at.complaints).toEqual([]);
  });

  it("are looked at, compared with now, and left for the newest", async () => {
    const { session, ids } = savedSession();
    const page = await at.page(SCREENS[screen]);
    await page.goto(`/s/${session.id}/files`);
    await page.getByTestId("snapshots").click();
    await row(page, ids[1]).getByRole("link").click();
    const bar = page.getByTestId("snapshot-bar");
    await bar.getByText("Earlier files").waitFor();
    await page.getByRole("treeitem", { name: "src" }).click();
    await page.getByRole("treeitem", { name: "clock.ts" }).click();
    await page.getByTestId("file-preview").getByText("UTC").waitFor();
    expect(await page.getByTestId("download").getAttribute("href")).toContain(`snapshotId=${ids[1]}`);
    // Its address is enough to come back.
    await page.reload();
    await page.getByTestId("file-preview").getByText("UTC").waitFor();
    expect(await inside(page)).toBe(true);
    await bar.getByRole("link", { name: "Compare with now" }).click();
    await page.getByTestId("change-count").getByText("1 file changed").waitFor();
    await page.goBack();
    await bar.getByRole("link", { name: "Newest files" }).click();
    await bar.getByText("The newest files").waitFor();
    await page.getByRole("treeitem", { name: "src" }).click();
    await page.getByRole("treeitem", { name: "clock.ts" }).click();
    await page.getByTestId("file-preview").getByText("Asia/Tokyo").waitFor();
    expect(at.complaints).toEqual([]);
  });

  it("that are gone are said to be gone, and nothing is asked for", async () => {
    const { session, ids } = savedSession();
    const page = await at.page(SCREENS[screen]);
    await page.goto(`/s/${session.id}/files?snapshot=${ids[0]}`);
    await page
      .getByTestId("snapshot-gone")
      .getByText(/It was given up on/)
      .waitFor();
    await page.goto(`/s/${session.id}/changes?from=${ids[0]}&to=`);
    await page.getByTestId("snapshot-gone").waitFor();
    await page.getByRole("link", { name: "Look at the newest files" }).click();
    await page.getByRole("treeitem", { name: "src" }).waitFor();
    expect(at.portal.requests.filter((request) => request.includes(`snapshotId=${ids[0]}`))).toEqual([]);
    expect(at.complaints).toEqual([]);
  });
});

describe("snapshots", () => {
  it("become new sessions, from the files and from the changes", async () => {
    const { session, ids } = savedSession();
    const page = await at.page();
    for (const [from, id] of [
      ["files", ids[1]],
      ["changes", ids[2]],
    ] as const) {
      await page.goto(`/s/${session.id}/${from}`);
      await page.getByTestId("snapshots").click();
      await row(page, id)
        .getByRole("button", { name: /^Actions/ })
        .click();
      await page.getByRole("menuitem", { name: "Restore as a new session" }).click();
      await page.waitForURL((url) => url.pathname.startsWith("/s/") && !url.pathname.includes(session.id));
    }
    expect(at.portal.forks.map(({ snapshotId }) => snapshotId)).toEqual([ids[1], ids[2]]);
    expect(at.complaints).toEqual([]);
  });

  it("are reached, pinned, compared and left with the keyboard alone", async () => {
    const { session, ids } = savedSession();
    const page = await at.page();
    await page.goto(`/s/${session.id}/files`);
    await page.getByTestId("snapshots").focus();
    await page.keyboard.press("Enter");
    await row(page, ids[1]).getByRole("button", { name: /^Pin/ }).focus();
    await page.keyboard.press("Space");
    await row(page, ids[1]).getByText("Pinned by Ada").waitFor();
    await page.keyboard.press("Escape");
    await page.getByTestId("snapshot-list").waitFor({ state: "detached" });
    expect(await page.evaluate(() => document.activeElement?.getAttribute("data-testid"))).toBe("snapshots");
    await page.keyboard.press("Enter");
    await row(page, ids[1])
      .getByRole("button", { name: /^Actions/ })
      .focus();
    await page.keyboard.press("Enter");
    await page.getByRole("menuitem", { name: "Compare with now" }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByTestId("change-count").getByText("1 file changed").waitFor();
    expect(at.complaints).toEqual([]);
  });

  it("that the sweep took a moment ago are gone, too, whatever the list said", async () => {
    const { session, ids } = savedSession();
    const page = await at.page();
    await page.goto(`/s/${session.id}/files`);
    await page.getByTestId("snapshots").click();
    await row(page, ids[1]).waitFor();
    session.snapshots.find(({ id }) => id === ids[1])!.prunedAt = Date.now();
    await row(page, ids[1]).getByRole("link").click();
    await page.getByTestId("snapshot-gone").waitFor();
    // The browser itself notes an answer of 410.
    expect(at.complaints.filter((complaint) => !complaint.includes("410"))).toEqual([]);
  });
});

describe("a worker that was stopped", () => {
  it("[S-52] says where its files are and what the next prompt does", async () => {
    at.portal.hosts = someHosts(Date.now());
    const { session } = savedSession();
    const stopped = { state: "stopped", hostId: HOST_ID, epoch: 1, warm: true } as const;
    session.say([{ type: "worker.status", data: stopped }]);
    const page = await at.page();
    await page.goto(`/s/${session.id}`);
    const workspace = page.getByRole("region", { name: "Workspace" });
    await workspace.getByText("Stopped, files kept warm on studio").waitFor();
    await workspace.getByText(/The next prompt starts there at once/).waitFor();
    session.say([{ type: "worker.status", data: { state: "cold", hostId: HOST_ID, epoch: 1 } }]);
    await workspace.getByText("No worker, files in the store").waitFor();
    await workspace
      .getByText(/^The next prompt restores the snapshot of .+\. studio has removed its copy\.$/)
      .waitFor();
    session.say([{ type: "worker.status", data: stopped }]);
    at.portal.hosts = at.portal.hosts.map((host) => ({ ...host, status: "offline" as const }));
    await page.reload();
    await workspace.getByText("Stopped, files kept warm on studio, which is offline").waitFor();
    await workspace.getByText(/The next prompt restores the snapshot of .+ on another host\./).waitFor();
  });
});
