/** Chromium and the scripted control plane that serves the built portal, put together for a test. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { gzipSync } from "node:zlib";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { ScriptedPortal } from "./scripted-portal-server.ts";

/** A second `--disable-features` replaces the first: what Playwright 1.65 turns off in Chromium is said again. */
const FEATURES_OFF = [
  "AvoidUnnecessaryBeforeUnloadCheckSync",
  "DestroyProfileOnBrowserClose",
  "HttpsUpgrades",
  "HttpsFirstBalancedModeAutoEnable",
  "LensOverlay",
  "MediaRouter",
  "PaintHolding",
  "ThirdPartyStoragePartitioning",
  "AvoidCorsURLLoaderRestartOnRedirect",
  "OptimizationHints",
  "NetworkTimeServiceQuerying",
  "AimEnabled",
  "PreconnectToSearch",
  // Each window would load two pages of its address bar, which nobody sees: 45 % of a visit's CPU.
  "WebUIOmniboxPopup",
  "WebUIOmniboxAimPopup",
];

const FLAGS = [
  `--disable-features=${FEATURES_OFF.join(",")}`,
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const SCREENS = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
} as const satisfies Record<string, BrowserContextOptions>;

/** CHROMIUM_PATH, or the first of the usual names in PATH. */
export function findChromium(): string {
  if (process.env.CHROMIUM_PATH) return process.env.CHROMIUM_PATH;
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of ["chromium", "chromium-browser", "google-chrome", "chrome"]) {
      if (existsSync(join(folder, name))) return join(folder, name);
    }
  }
  throw new Error("no Chromium: install it (apt-get install chromium) or set CHROMIUM_PATH");
}

/** Bytes after gzip of a script and of all that it imports statically, without what `known` has loaded already. */
export async function gzipBytes(assets: string, entry: RegExp, known: Set<string> = new Set()): Promise<number> {
  const files = await readdir(join(assets, "assets"));
  const waiting = files.filter((file) => entry.test(file));
  if (waiting.length === 0) throw new Error(`nothing in the build is called ${entry}`);
  let bytes = 0;
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (known.has(file)) continue;
    known.add(file);
    const code = await readFile(join(assets, "assets", file), "utf8");
    bytes += gzipSync(code).length;
    for (const match of code.matchAll(/(?:from|import)\s*["'`]\.\/([\w.-]+\.js)["'`]/g))
      if (match[1]) waiting.push(match[1]);
  }
  return bytes;
}

export class PortalBrowser {
  readonly portal: ScriptedPortal;
  /** Errors of the console and of scripts, and requests that left the origin. */
  readonly complaints: string[] = [];
  readonly #browser: Browser;
  readonly #contexts: BrowserContext[] = [];

  constructor(browser: Browser, portal: ScriptedPortal) {
    this.#browser = browser;
    this.portal = portal;
  }

  static launch(): Promise<Browser> {
    return chromium.launch({ executablePath: findChromium(), args: FLAGS });
  }

  static async start(browser: Browser, assets: string): Promise<PortalBrowser> {
    const portal = new ScriptedPortal(assets);
    await portal.listen();
    return new PortalBrowser(browser, portal);
  }

  async page(options: BrowserContextOptions = SCREENS.desktop): Promise<Page> {
    const context = await this.#browser.newContext({
      ...options,
      reducedMotion: "reduce",
      baseURL: this.portal.origin,
    });
    this.#contexts.push(context);
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on("console", (message) => message.type() === "error" && this.complaints.push(message.text()));
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("request", (request) => this.#checkOrigin(request.url()));
    page.on("websocket", (socket) => this.#checkOrigin(socket.url()));
    return page;
  }

  async close(): Promise<void> {
    for (const context of this.#contexts) await context.close();
    await this.portal.close();
  }

  #checkOrigin(url: string): void {
    const { host, protocol } = new URL(url);
    if (protocol !== "data:" && host !== new URL(this.portal.origin).host)
      this.complaints.push(`left the origin: ${url}`);
  }
}
