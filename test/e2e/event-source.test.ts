/** The browser's own EventSource reads a session, on a connection that breaks. Real Chromium, real workerd. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestControlPlane, type TestControlPlane } from "../support/control-plane.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { PortalBrowser } from "../support/portal-browser.ts";

let control: TestControlPlane & AsyncDisposable;
let proxy: CuttingProxy;
let browser: Browser;
beforeAll(async () => {
  [control, browser] = await Promise.all([startTestControlPlane(), PortalBrowser.launch()]);
  proxy = await CuttingProxy.listen(control.url, control.serviceToken);
});
afterAll(async () => {
  await browser?.close();
  await proxy?.close();
  await control?.dispose();
});

test("[P-27] Chromium's EventSource comes back where it was cut: nothing lost, nothing twice", async () => {
  const created = await control.call("/api/sessions", { method: "POST", body: { title: "0" } });
  const { session } = (await created.json()) as { session: { id: string } };
  const rename = (title: string) => control.call(`/api/sessions/${session.id}`, { method: "PATCH", body: { title } });
  for (let n = 1; n <= 8; n++) await rename(String(n));
  // In the middle of an event, before the first one of a resumed stream, after some.
  proxy.cuts.push(500, 10, 900);
  const page = await browser.newPage();
  await page.goto(proxy.origin);
  await page.evaluate((path) => {
    const heard: [string, string][] = [];
    const source = new EventSource(path);
    for (const type of ["session.created", "session.updated"])
      source.addEventListener(type, ({ lastEventId, data }) => heard.push([lastEventId, JSON.parse(data).data.title]));
    Object.assign(globalThis, { heard });
  }, `/api/sessions/${session.id}/stream`);
  const heard = () => page.evaluate(() => (globalThis as unknown as { heard: [string, string][] }).heard);
  await expect.poll(async () => (await heard()).length).toBeGreaterThanOrEqual(9);
  await rename("live");
  await expect.poll(async () => (await heard()).length).toBeGreaterThanOrEqual(10);
  expect(await heard()).toEqual([
    ...Array.from({ length: 9 }, (_, index) => [String(index + 1), String(index)]),
    ["10", "live"],
  ]);
  expect(proxy.cuts).toEqual([]);
  expect(proxy.lastEventIds).toHaveLength(4);
  expect(proxy.lastEventIds[2], "kept over a stream that brought nothing").toBe(proxy.lastEventIds[1]);
});
