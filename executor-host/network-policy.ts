/** The operator's word on where workers may go: GANTRY_NETWORK = none | providers | open | allowlist:host,host:port,*.host */
import type { NetworkPolicy } from "./egress/policy.ts";

/**
 * What the operator said; undefined when nothing was said: then a session without app gets `providers`, and an app's
 * policy is not narrowed.
 * @throws Error naming the variable when it says something else
 */
export function networkPolicyFrom(text: string | undefined): NetworkPolicy | undefined {
  if (text === undefined || text === "") return undefined;
  if (text === "none" || text === "providers" || text === "open") return { mode: text };
  if (text.startsWith("allowlist:")) {
    const hosts = text.slice("allowlist:".length).split(",");
    return { mode: "allowlist", hosts: hosts.map((host) => host.trim()).filter((host) => host !== "") };
  }
  throw new Error(`GANTRY_NETWORK is none, providers, open or allowlist:host,…, not "${text}"`);
}
