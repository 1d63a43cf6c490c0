/**
 * The control plane may name its own addresses without their origin, because it need not know under which one the host
 * reaches it. @throws TypeError when it is no address
 */
export function resolveUrl(controlUrl: string, url: string, kind: "http" | "socket"): string {
  const { href } = new URL(url, controlUrl);
  return kind === "socket" ? href.replace(/^http/, "ws") : href;
}
