/** Which agents there are, what each can do, and whether any host is ready for it. */
import { Hono } from "hono";
import { z } from "zod";
import { CAPABILITIES, PROVIDER_CAPABILITIES } from "#protocol/capabilities.ts";
import type { HostRecord } from "#protocol/http.ts";
import { PROVIDERS, type Provider, READINESS } from "#protocol/vocabulary.ts";
import { allow } from "../auth/allow.ts";
import type { AppEnv } from "../context.ts";
import { describe } from "../describe.ts";
import { listHosts } from "./hosts.ts";

const providerRecord = z.object({
  provider: z.enum(PROVIDERS),
  capabilities: z.record(z.enum(CAPABILITIES), z.boolean()),
  /** Over the hosts that are online: `ready` when one of them is. */
  state: z.enum(READINESS),
  reason: z.string().optional(),
  fix: z.string().optional(),
  readyHosts: z.number().int(),
});
type ProviderRecord = z.infer<typeof providerRecord>;

export const providerRoutes = new Hono<AppEnv>().get(
  "/",
  describe({
    summary: "List the agents: what each can do, and whether a host is ready for it",
    tag: "hosts",
    answers: { 200: { description: "all of them", schema: z.object({ providers: z.array(providerRecord) }) } },
  }),
  allow("hosts.read"),
  async (c) => {
    const online = (await listHosts(c)).filter(({ status }) => status === "online");
    return c.json({ providers: PROVIDERS.map((provider) => recordOf(provider, online)) });
  },
);

function recordOf(provider: Provider, online: readonly HostRecord[]): ProviderRecord {
  const facts = online.flatMap(({ facts }) => facts?.providers[provider] ?? []);
  const readyHosts = facts.filter(({ state }) => state === "ready").length;
  const base = { provider, capabilities: { ...PROVIDER_CAPABILITIES[provider] }, readyHosts };
  if (readyHosts > 0) return { ...base, state: "ready" };
  const nobody = online.length === 0 ? "No host is online." : "No host offers it.";
  const { state = "environment_not_ready", reason = nobody, fix } = facts[0] ?? {};
  return { ...base, state, reason, ...(fix === undefined ? {} : { fix }) };
}
