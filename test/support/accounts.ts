/** Organisations, tokens and cookies for tests of the Worker. */
import { randomBytes } from "node:crypto";
import { newId } from "#protocol/ids.ts";
import type { Mint } from "../../executor-host/local/api.ts";
import { newOrganization, newServiceToken, sha256 } from "./organization.ts";
import { SECRETS } from "./secrets.ts";
import type { WorkerUnderTest } from "./worker-under-test.ts";

export type Json = Record<string, unknown>;
export type Caller = {
  organizationId: string;
  token: string;
  /** Requests as JSON with the service token. */
  call<T = Json>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>>;
};
export type Answer<T = Json> = { status: number; body: T; headers: Headers };

export async function bootstrap(worker: WorkerUnderTest, mint: Mint[] = ["serviceToken"]) {
  if (worker.plane) {
    const { serviceToken = "", joinToken = "", ...rest } = await worker.plane.bootstrap(...mint);
    return { ...rest, serviceToken, joinToken };
  }
  const response = await worker.fetch("/api/bootstrap", {
    method: "POST",
    headers: { authorization: `Bearer ${SECRETS.BOOTSTRAP_TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({ mint }),
  });
  if (response.status !== 200) throw new Error(`bootstrap: ${response.status} ${await response.text()}`);
  return (await response.json()) as {
    organizationId: string;
    signInUrl: string;
    serviceToken: string;
    joinToken: string;
  };
}

/** An administrator's service token of the first organisation. */
export async function firstCaller(worker: WorkerUnderTest): Promise<Caller> {
  const { organizationId, serviceToken } = await bootstrap(worker);
  return caller(worker, organizationId, serviceToken);
}

/** Another organisation, with a service token of the given role. */
export async function otherCaller(worker: WorkerUnderTest, role = "admin"): Promise<Caller> {
  const organizationId = await newOrganization(worker.sql);
  return addCaller(worker, organizationId, role);
}

export async function addCaller(worker: WorkerUnderTest, organizationId: string, role: string): Promise<Caller> {
  const token = await newServiceToken(worker.sql, organizationId, role);
  return caller(worker, organizationId, token);
}

/** Signs in with the link of an owner; answers the `Cookie` header's value. */
export async function ownerCookie(worker: WorkerUnderTest): Promise<string> {
  const token = worker.plane
    ? await ownerLink(worker, worker.plane.organizationId)
    : new URL((await bootstrap(worker)).signInUrl).searchParams.get("token");
  const response = await worker.fetch("/api/sign-in", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  });
  const cookie = response.headers.getSetCookie()[0]?.split(";")[0];
  if (!cookie) throw new Error(`sign-in: ${response.status}`);
  return cookie;
}

/** A new owner's sign-in link, as its token. */
async function ownerLink({ sql }: WorkerUnderTest, organizationId: string): Promise<string> {
  const token = `gsl_${randomBytes(32).toString("base64url")}`;
  const userId = newId("usr");
  const now = Date.now();
  await sql("insert into users (id, name, created_at) values (?, 'Administrator', ?)", userId, now);
  await sql(
    "insert into memberships (organization_id, user_id, role, created_at) values (?, ?, 'owner', ?)",
    ...[organizationId, userId, now],
  );
  await sql(
    "insert into sign_in_links (token_hash, organization_id, user_id, created_at, expires_at) values (?, ?, ?, ?, ?)",
    ...[sha256(token), organizationId, userId, now, now + 60_000],
  );
  return token;
}

function caller(worker: WorkerUnderTest, organizationId: string, token: string): Caller {
  return {
    organizationId,
    token,
    async call<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
      const response = await worker.fetch(path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      return { status: response.status, body: await readBody<T>(response), headers: response.headers };
    },
  };
}

async function readBody<T>(response: Response): Promise<T> {
  const text = await response.text();
  return (text.startsWith("{") ? JSON.parse(text) : { text }) as T;
}
