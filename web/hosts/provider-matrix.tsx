/** Which agent can do what, and whether any host is ready for it. On a phone it is a list: eight columns do not fit. */
import { Check, Minus, TriangleAlert } from "lucide-react";
import { Fragment } from "react";
import {
  ACP_AGENTS,
  CAPABILITIES,
  type Capability,
  type CapabilityRow,
  PROVIDER_CAPABILITIES,
} from "#protocol/capabilities.ts";
import type { HostRecord } from "#protocol/http.ts";
import { PROVIDERS, type Provider } from "#protocol/vocabulary.ts";
import { CAPABILITY_TEXT } from "../ui/capability-texts.ts";
import { PROVIDER_NAME, ProviderIcon } from "../ui/provider-icon.tsx";
import { Fix } from "./fix.tsx";
import { standingOf } from "./provider-standing.ts";

/** A row for each agent; those that speak the Agent Client Protocol differ, so the ones we know have rows of their own. */
type Row = { key: string; provider: Provider; agent?: string; can: CapabilityRow };
const ROWS: readonly Row[] = PROVIDERS.flatMap((provider): Row[] => [
  { key: provider, provider, can: PROVIDER_CAPABILITIES[provider] },
  ...(provider === "acp" ? Object.entries(ACP_AGENTS) : []).map(([agent, can]) => ({
    key: agent,
    provider,
    agent,
    can,
  })),
]);

export function ProviderMatrix({ hosts }: { hosts: readonly HostRecord[] }) {
  return (
    <section aria-labelledby="agents" data-testid="provider-matrix">
      <h2 id="agents" className="font-semibold">
        Agents
      </h2>
      <p className="mt-1 mb-3 max-w-[60ch] text-ink-soft text-sm">
        What each agent can do, and whether a host that is online is ready for it. A prompt that needs what its agent
        cannot do is refused before it begins, and the refusal names the agents that can.
      </p>
      <table className="hidden w-full border-collapse text-sm sm:table">
        <thead>
          <tr className="border-line border-b text-ink-soft text-xs">
            <th scope="col" className="py-2 pe-3 text-start font-medium">
              Agent
            </th>
            {CAPABILITIES.map((capability) => (
              <th
                key={capability}
                scope="col"
                title={CAPABILITY_TEXT[capability].what}
                className="px-1 py-2 text-center font-medium"
              >
                {CAPABILITY_TEXT[capability].name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {ROWS.map((row) => (
            <tr key={row.key} className="border-line border-b align-top">
              <th scope="row" className="py-2.5 pe-3 text-start font-normal">
                <Agent row={row} hosts={hosts} />
              </th>
              {CAPABILITIES.map((capability) => (
                <td key={capability} className="px-1 py-3 text-center">
                  <Mark can={row.can} capability={capability} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <ul className="flex flex-col gap-4 sm:hidden">
        {ROWS.map((row) => (
          <li key={row.key} className="border-line border-b pb-4">
            <Agent row={row} hosts={hosts} />
            <ul className="mt-2 grid grid-cols-2 gap-x-3 gap-y-1 text-sm">
              {CAPABILITIES.map((capability) => (
                <li key={capability} className="flex items-center gap-1.5">
                  <Mark can={row.can} capability={capability} />
                  <span className={row.can[capability] ? "" : "text-ink-soft"}>{CAPABILITY_TEXT[capability].name}</span>
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
      <dl className="mt-3 hidden grid-cols-[max-content_1fr] gap-x-3 gap-y-0.5 text-ink-soft text-xs sm:grid">
        {CAPABILITIES.map((capability) => (
          <Fragment key={capability}>
            <dt>{CAPABILITY_TEXT[capability].name}</dt>
            <dd>
              {CAPABILITY_TEXT[capability].what}. Without: {CAPABILITY_TEXT[capability].without.toLowerCase()}.
            </dd>
          </Fragment>
        ))}
      </dl>
    </section>
  );
}

function Mark({ can, capability }: { can: CapabilityRow; capability: Capability }) {
  const { what, without } = CAPABILITY_TEXT[capability];
  return can[capability] ? (
    <Check size={16} className="inline shrink-0 text-good" role="img" aria-label={what} />
  ) : (
    <Minus size={16} className="inline shrink-0 text-ink-soft" role="img" aria-label={without} />
  );
}

function Agent({ row: { provider, agent }, hosts }: { row: Row; hosts: readonly HostRecord[] }) {
  if (agent !== undefined) return <code className="ms-8.5 block text-xs leading-6">{agent}</code>;
  const standing = standingOf(provider, hosts);
  return (
    <span className="flex items-start gap-2.5">
      <ProviderIcon provider={provider} />
      <span className="min-w-0">
        <span className="block leading-6">{PROVIDER_NAME[provider]}</span>
        {standing.ready ? (
          <span className="block text-ink-soft text-xs">
            Ready on {standing.hosts === 1 ? "one host" : `${standing.hosts} hosts`}
          </span>
        ) : (
          <span className="block text-ink-soft text-xs">
            <TriangleAlert size={13} className="me-1 inline text-warn" aria-hidden />
            {standing.reason}
            {standing.fix && <Fix text={standing.fix} />}
          </span>
        )}
      </span>
    </span>
  );
}
