/** What the files page makes of each kind of file. */
import { expect, it } from "vitest";
import { LIMITS } from "#protocol/limits.ts";
import type { PortalBrowser } from "../support/portal-browser.ts";
import { clockRun } from "../support/portal-story.ts";
import { portalSuite } from "../support/portal-suite.ts";

/** One transparent dot. */
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
let at: PortalBrowser;

portalSuite((each) => {
  at = each;
});

it("colours code, draws pictures, and offers the rest to download without fetching it to show it", async () => {
  const session = at.portal.session("World clock");
  const run = session.newRunId();
  session.say(clockRun(run));
  session.save(run, Date.now());
  session.files.set("clock.ts", "export const zone: string = 'Asia/Tokyo'; // where\n");
  session.files.set("dot.png", PNG);
  session.files.set("broken.png", "no picture");
  session.files.set("data.bin", Buffer.from([1, 0, 2]));
  session.files.set("empty.txt", "");
  session.files.set("log.txt", Buffer.alloc(LIMITS.previewBytes + 1, "a"));
  const page = await at.page();
  await page.goto(`/s/${session.id}/files`);
  const preview = page.getByTestId("file-preview");
  const open = (name: string) => page.getByRole("treeitem", { name }).click();

  await open("clock.ts");
  await preview.locator('span[style*="color"]', { hasText: "Asia/Tokyo" }).waitFor();
  const colours = await preview
    .locator('span[style*="color"]')
    .evaluateAll((tokens) => new Set(tokens.map((token) => (token as HTMLElement).style.color)).size);
  expect(colours).toBeGreaterThan(2);

  await open("dot.png");
  await preview.getByText("1 × 1").waitFor();
  await open("broken.png");
  await preview.getByText("This picture cannot be shown").waitFor();
  await open("data.bin");
  await preview.getByText("This is not text").waitFor();
  await open("empty.txt");
  await preview.getByText("The file is empty").waitFor();
  await open("log.txt");
  await preview.getByText("too large to show here").waitFor();
  expect(await page.getByTestId("download").getAttribute("href")).toContain("path=log.txt");
  expect(at.portal.requests.filter((request) => request.includes("path=log.txt"))).toEqual([]);
  expect(at.complaints).toEqual([]);
});
