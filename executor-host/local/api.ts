/** The few calls that `npm start` and the tests make to a control plane. */
import { z } from "zod";

const bootstrapAnswer = z.object({
  organizationId: z.string(),
  signInUrl: z.string(),
  serviceToken: z.string().optional(),
  joinToken: z.string().optional(),
});
export type BootstrapAnswer = z.infer<typeof bootstrapAnswer>;

const hostsAnswer = z.object({ hosts: z.array(z.looseObject({ id: z.string(), status: z.string() })) });

export type Mint = "signIn" | "serviceToken" | "joinToken";

const callTimeoutMs = 15_000;

/** Makes the first organisation when there is none, and what is asked for. Rejects with the control plane's own words. */
export async function bootstrap(url: string, bootstrapToken: string, mint: Mint[]): Promise<BootstrapAnswer> {
  const headers = { authorization: `Bearer ${bootstrapToken}`, "content-type": "application/json" };
  const body = JSON.stringify({ mint });
  const signal = AbortSignal.timeout(callTimeoutMs);
  const response = await fetch(`${url}/api/bootstrap`, { method: "POST", headers, body, signal });
  if (!response.ok) throw new Error(`POST /api/bootstrap answered ${response.status}: ${await response.text()}`);
  return bootstrapAnswer.parse(await response.json());
}

/** The state of every host; undefined when the token is not accepted. */
export async function hostStatuses(url: string, serviceToken: string): Promise<Map<string, string> | undefined> {
  const headers = { authorization: `Bearer ${serviceToken}` };
  const response = await fetch(`${url}/api/hosts`, { headers, signal: AbortSignal.timeout(callTimeoutMs) });
  if (response.status === 401) return undefined;
  if (!response.ok) throw new Error(`GET /api/hosts answered ${response.status}: ${await response.text()}`);
  return new Map(hostsAnswer.parse(await response.json()).hosts.map((host) => [host.id, host.status]));
}

/** Isolation of sessions that name none. Rejects with the control plane's own words. */
export async function setDefaultVmMode(
  url: string,
  serviceToken: string,
  defaultVmMode: "docker" | "process",
): Promise<void> {
  const response = await fetch(`${url}/api/organization`, {
    method: "PATCH",
    headers: { authorization: `Bearer ${serviceToken}`, "content-type": "application/json" },
    body: JSON.stringify({ defaultVmMode }),
    signal: AbortSignal.timeout(callTimeoutMs),
  });
  if (!response.ok) throw new Error(`PATCH /api/organization answered ${response.status}: ${await response.text()}`);
}
