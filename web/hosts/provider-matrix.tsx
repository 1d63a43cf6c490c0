/** Which agent can do what, and whether any host is ready for it. On a phone it is a list: eight columns do not fit. */
import { Check, Minus, TriangleAlert } from "lucide-react";
import { CAPABILITIES, type Capability, PROVIDER_CAPABILITIES } from "#protocol/capabilities.ts";
import type { HostRecord } from "#protocol/http.ts";
import { PROVIDERS, type Provider } from "#protocol/vocabulary.ts";
import { CAPABILITY_TEXT } from "../ui/capability-texts.ts";
import { PROVIDER_NAME, ProviderIcon } from "../ui/provider-icon.tsx";
import { Fix } from "./fix.tsx";
import { type Standing, standingOf } from "./provider-standing.ts";

export function ProviderMatrix({ hosts }: { hosts: readonly HostRecord[] }) {
  return (
    <section aria-labelledby="agents" data-testid="provider-matrix">
      <h2 id="agents" className="font-semibold">
        Agents
      </h2>
      <p className="mt-1 mb-3 max-w-[60ch] text-ink-soft text-sm">
        What each agent can do, and whether a host that is online is ready for it.
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
          {PROVIDERS.map((provider) => (
            <tr key={provider} className="border-line border-b align-top">
              <th scope="row" className="py-2.5 pe-3 text-start font-normal">
                <Agent provider={provider} standing={standingOf(provider, hosts)} />
              </th>
              {CAPABILITIES.map((capability) => (
                <td key={capability} className="px-1 py-3 text-center">
                  <Mark provider={provider} capability={capability} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <ul className="flex flex-col gap-4 sm:hidden">
        {PROVIDERS.map((provider) => (
          <li key={provider} className="border-line border-b pb-4">
            <Agent provider={provider} standing={standingOf(provider, hosts)} />
            <ul className="mt-2 grid grid-cols-2 gap-x-3 gap-y-1 text-sm">
              {CAPABILITIES.map((capability) => (
                <li key={capability} className="flex items-center gap-1.5">
                  <Mark provider={provider} capability={capability} />
                  <span className={PROVIDER_CAPABILITIES[provider][capability] ? "" : "text-ink-soft"}>
                    {CAPABILITY_TEXT[capability].name}
                  </span>
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Mark({ provider, capability }: { provider: Provider; capability: Capability }) {
  const { what, without } = CAPABILITY_TEXT[capability];
  return PROVIDER_CAPABILITIES[provider][capability] ? (
    <Check size={16} className="inline shrink-0 text-good" role="img" aria-label={what} />
  ) : (
    <Minus size={16} className="inline shrink-0 text-ink-soft" role="img" aria-label={without} />
  );
}

function Agent({ provider, standing }: { provider: Provider; standing: Standing }) {
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
