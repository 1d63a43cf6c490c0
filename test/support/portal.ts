/** Chromium on the real portal of a running Gantry, signed in by its one-time link. */
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import type { Gantry } from "./gantry.ts";
import { SCREENS } from "./portal-browser.ts";

/** What went wrong in the page: errors of the console and of scripts, requests that left the origin. */
export type Visit = { page: Page; complaints: string[]; close(): Promise<void> };

/** @param state the cookies of an earlier visit; without them the link signs in */
export async function visit(
  browser: Browser,
  gantry: Gantry,
  options: BrowserContextOptions = SCREENS.desktop,
): Promise<Visit> {
  const context = await browser.newContext({ ...options, reducedMotion: "reduce", baseURL: gantry.started.url });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith("data:") && new URL(request.url()).origin !== gantry.started.url)
      complaints.push(`left the origin: ${request.url()}`);
  });
  if (!options.storageState) {
    await page.goto(await gantry.signInUrl());
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL((url) => url.pathname === "/");
  }
  return { page, complaints, close: () => context.close() };
}
