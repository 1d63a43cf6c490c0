/** As a new user: `npm start`, the link, a first chat without a key, its files. Real Chromium, workerd and Docker. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ensureBaseImage } from "../support/docker-image.ts";
import { Gantry } from "../support/gantry.ts";
import { visit } from "../support/portal.ts";
import { PortalBrowser, SCREENS } from "../support/portal-browser.ts";

let gantry: Gantry;
let browser: Browser;

beforeAll(async () => {
  gantry = await Gantry.start({ GANTRY_IMAGE: await ensureBaseImage() });
  browser = await PortalBrowser.launch();
});
afterAll(async () => {
  await browser?.close();
  await gantry?.dispose();
});

const transcript = (page: Page): Promise<string> => page.getByTestId("transcript").innerText();

/** Sends a prompt on the home page and waits until its run has ended. */
async function chat(page: Page, prompt: string): Promise<string> {
  await page.goto("/");
  await page.getByTestId("composer").fill(prompt);
  await page.getByTestId("send").click();
  await page.waitForURL(/\/s\/ses_/);
  await page.getByTestId("run-footer").first().waitFor({ timeout: 60_000 });
  return /ses_[0-9a-z]{20}/.exec(page.url())?.[0] ?? "";
}

test("[R-10.1] the first chat: an answer, todos, tool cards, and the file that was written, byte for byte", async () => {
  const { page, complaints, close } = await visit(browser, gantry);
  const prompt = "Hello Gantry, what can you do?";
  const sessionId = await chat(page, prompt);
  expect(await transcript(page)).toContain("hello.md");
  expect(await page.getByTestId("todo-panel").innerText()).toContain("Write hello.md");
  const { view } = await gantry.json<{ view: { runs: { outcome: string }[] } }>(`/api/sessions/${sessionId}`);
  expect(view.runs[0]?.outcome).toBe("succeeded");
  await page.getByText(/Saved/).first().waitFor();
  await page.goto(`/s/${sessionId}/files`);
  await page.getByTestId("file-tree").getByText("hello.md").click();
  await page.getByTestId("file-preview").getByText(prompt).waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId("download").first().click()]);
  const bytes = await (await gantry.call(`/api/files/download?sessionId=${sessionId}&path=hello.md`)).text();
  const chunks: Buffer[] = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks).toString()).toBe(bytes);
  expect(bytes).toContain(prompt);
  expect(complaints).toEqual([]);
  await close();
});

test("[P-21] a reload at any moment gives the same transcript, and so does a second tab", async () => {
  const first = await visit(browser, gantry);
  const { page } = first;
  await page.goto("/");
  await page.getByTestId("composer").fill("say It begins.\nstream 120 25\nwrite out.txt done\nsay It is done.");
  await page.getByTestId("send").click();
  await page.waitForURL(/\/s\/ses_/);
  await page.getByTestId("message-assistant").first().waitFor({ timeout: 60_000 });
  const other = await first.page.context().newPage();
  for (let reload = 0; reload < 6; reload++) await page.reload();
  await other.goto(page.url());
  // What a run has changed is asked for when it is over.
  const ended = (each: Page) => each.getByTestId("run-footer").getByText("1 file changed").waitFor({ timeout: 60_000 });
  await ended(page);
  await ended(other);
  const live = await transcript(other);
  await page.reload();
  await ended(page);
  expect(await transcript(page)).toBe(live);
  const said = await page.getByTestId("message-assistant").allInnerTexts();
  expect(said.join("\n").match(/It begins\./g)).toHaveLength(1);
  expect(said.join("\n").match(/It is done\./g)).toHaveLength(1);
  await first.close();
});

test("[R-6.6] a permission is asked and answered in the page; Enter in the composer approves nothing", async () => {
  const { page, close } = await visit(browser, gantry);
  await page.goto("/");
  const talk = Array.from({ length: 40 }, (_, line) => `say Line ${line} of a long talk.`).join("\n");
  await page
    .getByTestId("composer")
    .fill(`${talk}\nsleep 700\nask permission Delete the old build\nsay It was allowed.`);
  await page.getByTestId("send").click();
  const card = page.getByTestId("permission-card");
  await card.waitFor({ timeout: 60_000 });
  // The card takes room from the transcript, not from its last line.
  const lastLine = page.getByTestId("message-assistant").getByText("Line 39 of a long talk.");
  const above = async () => ((await lastLine.boundingBox())?.y ?? 9_999) < ((await card.boundingBox())?.y ?? 0);
  await expect.poll(above).toBe(true);
  await page.getByTestId("composer").fill("a follow-up");
  await page.getByTestId("composer").press("Enter");
  await page.getByTestId("queue-item").waitFor();
  expect(await card.isVisible()).toBe(true);
  await page.reload();
  await card.waitFor();
  await page.getByTestId("allow-once").click();
  await page.getByTestId("message-assistant").getByText("It was allowed.").waitFor();
  await card.waitFor({ state: "detached" });
  await close();
});

test("[R-5.3] Stop ends the run as cancelled and leaves the follow-up", async () => {
  const { page, close } = await visit(browser, gantry);
  await page.goto("/");
  await page.getByTestId("composer").fill("say Here I hang.\nhang");
  await page.getByTestId("send").click();
  await page.getByTestId("message-assistant").getByText("Here I hang.").waitFor({ timeout: 60_000 });
  await page.getByTestId("composer").fill("say And now the next.");
  await page.getByTestId("composer").press("Enter");
  await page.getByTestId("queue-item").waitFor();
  await page.getByTestId("stop").click();
  await page.getByTestId("message-assistant").getByText("And now the next.").waitFor();
  const sessionId = /ses_[0-9a-z]{20}/.exec(page.url())?.[0] ?? "";
  await expect
    .poll(
      async () =>
        (await gantry.json<{ view: { runs: { outcome?: string }[] } }>(`/api/sessions/${sessionId}`)).view.runs.map(
          (run) => run.outcome,
        ),
      { timeout: 20_000 },
    )
    .toEqual(["cancelled", "succeeded"]);
  await close();
});

test("[R-10.1] on a phone: sign in, chat, approve by thumb", async () => {
  await gantry.json("/healthz");
  const { page, complaints, close } = await visit(browser, gantry, SCREENS.phone);
  await page.goto("/");
  await page.getByTestId("composer").fill("ask permission Push to main\nsay Done on the phone.");
  await page.getByTestId("send").click();
  const allow = page.getByTestId("allow-once");
  await allow.waitFor({ timeout: 60_000 });
  const box = await allow.boundingBox();
  expect(box && box.y + box.height).toBeLessThanOrEqual(844);
  await allow.tap();
  await page.getByTestId("message-assistant").getByText("Done on the phone.").waitFor();
  expect(complaints).toEqual([]);
  await close();
});
