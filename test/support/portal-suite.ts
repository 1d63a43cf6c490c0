/** The built portal and one Chromium for a file of tests, and for each test a scripted control plane of its own. */
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { build } from "../../executor-host/local/build.ts";
import { PortalBrowser } from "./portal-browser.ts";

/**
 * Registers the hooks of the file that calls it.
 * @param ready what every test begins with: its portal, whose control plane listens
 * @returns where the built pages lie, from the first test on
 */
export function portalSuite(ready: (at: PortalBrowser) => void): { readonly assets: string } {
  let browser: Browser;
  let assets: string;
  let at: PortalBrowser;
  beforeAll(async () => {
    ({ webDir: assets } = await build());
    browser = await PortalBrowser.launch();
  });
  afterAll(async () => {
    await browser?.close();
  });
  beforeEach(async () => {
    at = await PortalBrowser.start(browser, assets);
    ready(at);
  });
  afterEach(async () => {
    await at.close();
  });
  return {
    get assets() {
      return assets;
    },
  };
}
