/**
 * The whole control plane, as deployed, for a test file: workerd on a free port with state of its own that is removed at
 * the end. About one second to start; the bundle is built once for all.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BootstrapAnswer, bootstrap, type Mint } from "../../executor-host/local/api.ts";
import { type Built, build } from "../../executor-host/local/build.ts";
import { type ControlPlane, startControlPlane } from "../../executor-host/local/control-plane.ts";
import { newSecrets, type Secrets } from "../../executor-host/local/start-state.ts";
import { newOrganization, newServiceToken } from "./organization.ts";

export type TestControlPlane = ControlPlane & {
  /** An administrator's token. */
  serviceToken: string;
  organizationId: string;
  secrets: Secrets;
  stateDir: string;
  /** What workerd and the Worker logged, oldest first. */
  logs: string[];
  /** Makes a sign-in link, and tokens when asked. */
  bootstrap(...mint: Mint[]): Promise<BootstrapAnswer>;
  /** `fetch` on a path with the service token and, for an object as body, JSON. */
  call(path: string, init?: Omit<RequestInit, "body"> & { body?: unknown }): Promise<Response>;
};

/** Starts it. Use with `await using`, or call `dispose` yourself; both also remove the state. */
export async function startTestControlPlane(
  options: { stateDir?: string; vars?: Record<string, string>; secrets?: Secrets; built?: Built } = {},
): Promise<TestControlPlane & AsyncDisposable> {
  const built = options.built ?? (await build());
  const stateDir = options.stateDir ?? mkdtempSync(join(tmpdir(), "gantry-test-"));
  const secrets = options.secrets ?? newSecrets();
  const logs: string[] = [];
  const log = (level: string, message: string) => void logs.push(`${level} ${message}`);
  const started = await startControlPlane({
    port: 0,
    stateDir,
    secrets,
    log,
    built,
    ...(options.vars && { vars: options.vars }),
  });
  const dispose = async () => {
    await started.dispose();
    if (options.stateDir === undefined) rmSync(stateDir, { recursive: true, force: true });
  };
  const mintAt = (...mint: Mint[]) => bootstrap(started.url, secrets.BOOTSTRAP_TOKEN, mint);
  try {
    const { serviceToken = "", organizationId } = await mintAt("serviceToken");
    const control = {
      ...started,
      serviceToken,
      organizationId,
      secrets,
      stateDir,
      logs,
      bootstrap: mintAt,
      call: callerOf(started.url, serviceToken),
      dispose,
    };
    return { ...control, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw new Error(`${error instanceof Error ? error.message : error}\n${logs.slice(-20).join("\n")}`, {
      cause: error,
    });
  }
}

function callerOf(url: string, serviceToken: string): TestControlPlane["call"] {
  return (path, { body, headers, ...init } = {}) =>
    fetch(`${url}${path}`, {
      ...init,
      headers: {
        authorization: `Bearer ${serviceToken}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...Object.fromEntries(new Headers(headers)),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
}

type AsOrganization = Pick<TestControlPlane, "serviceToken" | "organizationId" | "bootstrap" | "call">;

/** The same control plane as an administrator of a new, empty organisation sees it: tests in two of them do not meet. */
export async function inNewOrganization<P extends Omit<TestControlPlane, keyof AsOrganization>>(
  plane: P,
): Promise<P & AsOrganization> {
  const organizationId = await newOrganization(plane.query);
  const serviceToken = await newServiceToken(plane.query, organizationId, "admin");
  const call = callerOf(plane.url, serviceToken);
  const bootstrap: TestControlPlane["bootstrap"] = async (...mint) => {
    if (mint.includes("signIn")) throw new Error("a sign-in link is for the first organisation");
    const answer = await call("/api/hosts/join-tokens", { method: "POST", body: {} });
    const { joinToken } = (await answer.json()) as { joinToken: string };
    return { organizationId, signInUrl: "", serviceToken, joinToken };
  };
  return Object.create(
    plane,
    Object.getOwnPropertyDescriptors({ serviceToken, organizationId, bootstrap, call }),
  ) as P & AsOrganization;
}
