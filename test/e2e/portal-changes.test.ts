import { describe, expect, it } from "vitest";
import type { FileChange } from "#protocol/changes.ts";
import { type PortalBrowser, SCREENS } from "../support/portal-browser.ts";
import { clockRun, deployRun } from "../support/portal-story.ts";
import { portalSuite } from "../support/portal-suite.ts";
import { finished, type ScriptedSession } from "../support/scripted-portal-server.ts";

let at: PortalBrowser;

portalSuite((each) => {
  at = each;
});

const lines = (...text: string[]) => ({
  state: "lines" as const,
  added: text.filter((line) => line.startsWith("+")).length,
  removed: text.filter((line) => line.startsWith("-")).length,
  hunks: [{ oldStart: 7, oldLines: 2, newStart: 7, newLines: 3, lines: text }],
});
const CHANGES: FileChange[] = [
  { path: "data.bin", change: "modified", kind: "file", sizeBefore: 3, sizeAfter: 4, text: { state: "binary" } },
  { path: "long.txt", change: "modified", kind: "file", sizeBefore: 9, sizeAfter: 9, text: { state: "left_out" } },
  { path: "new/name.ts", oldPath: "old/name.ts", change: "renamed", kind: "file", sizeBefore: 5, sizeAfter: 5 },
  {
    path: "src/clock.ts",
    change: "modified",
    kind: "file",
    sizeBefore: 30,
    sizeAfter: 41,
    text: lines(" const one = 1;", "-const zone = 'UTC';", "+const zone = 'Asia/Tokyo';", "+const more = 2;"),
  },
];

/** Two runs that were saved; the second one changed four files. */
function savedSession(): { session: ScriptedSession; runId: string; ids: string[] } {
  const session = at.portal.session("World clock");
  const ids = [session.save()];
  const first = session.newRunId();
  session.say(clockRun(first));
  ids.push(session.save(first));
  const runId = session.newRunId();
  session.say([...deployRun(runId), finished(runId, "succeeded")]);
  ids.push(session.save(runId));
  session.changes = (from, to, alone) => {
    if (alone === "long.txt") return [{ ...CHANGES[1]!, text: lines("+asked for alone") }];
    return from === ids[1] && to === ids[2] ? CHANGES : from === "" ? [] : CHANGES.slice(3);
  };
  return { session, runId, ids };
}

describe.each(["desktop", "phone"] as const)("changes on a %s", (screen) => {
  it("lead from the end of a run to its lines", async () => {
    const { session, runId } = savedSession();
    const page = await at.page(SCREENS[screen]);
    await page.goto(`/s/${session.id}`);
    await page.getByTestId("run-changes").getByText("4 files changed").click();
    await page.waitForURL((url) => url.pathname.endsWith("/changes") && url.searchParams.get("run") === runId);
    await page.getByTestId("change-count").getByText("4 files changed").waitFor();
    await page
      .getByTestId("change-list")
      .getByRole("button", { name: /clock\.ts/ })
      .click();
    const view = page.getByTestId("change-view");
    await view.getByText("const zone = 'Asia/Tokyo';").waitFor();
    const rows = await view.locator("[data-kind]").allInnerTexts();
    expect(rows.map((row) => row.replace(/\s+/g, " ").trim())).toEqual([
      "@@ −7,2 +7,3 @@",
      "7 7 const one = 1;",
      "8 − const zone = 'UTC';",
      "8 + const zone = 'Asia/Tokyo';",
      "9 + const more = 2;",
    ]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
    expect(at.complaints).toEqual([]);
  });
});

describe("the page of changes", () => {
  it("goes through the files with [ and ], and says what has no lines", async () => {
    const { session } = savedSession();
    const page = await at.page();
    await page.goto(`/s/${session.id}/changes`);
    await page.getByTestId("change-list").waitFor();
    const view = page.getByTestId("change-view");
    await page.keyboard.press("]");
    await view.getByText("This is not text").waitFor();
    await page.keyboard.press("]");
    await view.getByText("asked for alone").waitFor();
    await page.keyboard.press("]");
    await view.getByText("Renamed, with the same content.").waitFor();
    await page.keyboard.press("]");
    await page.keyboard.press("]");
    await view.getByText("Asia/Tokyo").waitFor();
    await page.keyboard.press("[");
    await view.getByText("old/name.ts").waitFor();
    expect(new URL(page.url()).searchParams.get("path")).toBe("new/name.ts");
    await page.reload();
    await view.getByText("old/name.ts").waitFor();
    expect(at.complaints).toEqual([]);
  });

  it("compares the session, and any two snapshots, at an address of its own", async () => {
    const { session, ids } = savedSession();
    const page = await at.page();
    await page.goto(`/s/${session.id}/changes`);
    await page.getByRole("button", { name: "Session", exact: true }).click();
    await page.getByTestId("change-count").getByText("1 file changed").waitFor();
    await page.getByRole("button", { name: "Two snapshots" }).click();
    await page.getByLabel("From").selectOption(ids[1]!);
    await page.getByTestId("change-count").getByText("4 files changed").waitFor();
    await page.getByLabel("From").selectOption("");
    await page.getByText(/^No changes since /).waitFor();
    const address = new URL(page.url()).searchParams;
    expect([address.get("from"), address.get("to")].map((id) => id?.replaceAll('"', ""))).toEqual(["", ids[2]]);
    await page.reload();
    await page.getByText(/^No changes since /).waitFor();
    expect(at.complaints).toEqual([]);
  });

  it("takes in what is saved while it is open", async () => {
    const session = at.portal.session("Fresh");
    const page = await at.page();
    await page.goto(`/s/${session.id}/changes`);
    await page.getByText("No snapshot yet").waitFor();
    const runId = session.newRunId();
    session.say(clockRun(runId));
    session.changes = () => CHANGES.slice(3);
    session.save(runId);
    await page.getByTestId("change-count").getByText("1 file changed").waitFor();
    expect(at.complaints).toEqual([]);
  });

  it("starts a new session from the files of a snapshot", async () => {
    const { session, ids } = savedSession();
    const page = await at.page();
    await page.goto(`/s/${session.id}/changes`);
    await page.getByTestId("fork").click();
    await page.waitForURL((url) => url.pathname.startsWith("/s/") && !url.pathname.includes(session.id));
    expect(at.portal.forks).toEqual([{ sessionId: session.id, snapshotId: ids[2] }]);
  });

  it("is reached with g c", async () => {
    const { session } = savedSession();
    const page = await at.page();
    await page.goto(`/s/${session.id}`);
    await page.getByTestId("transcript").focus();
    await page.keyboard.press("g");
    await page.keyboard.press("c");
    await page.getByTestId("change-list").waitFor();
  });
});
