import { Check, TriangleAlert } from "lucide-react";
import type { HostFacts } from "#protocol/messages.ts";
import { PROVIDERS } from "#protocol/vocabulary.ts";
import { PROVIDER_NAME } from "../ui/provider-icon.tsx";
import { Fix } from "./fix.tsx";

/** Each agent of a host: ready, or what is missing and the one thing to do about it. */
export function HostProviders({ facts }: { facts: HostFacts }) {
  const known = PROVIDERS.filter((provider) => facts.providers[provider]);
  if (known.length === 0) return <p className="text-ink-soft text-sm">No agent is installed on it.</p>;
  return (
    <ul className="flex min-w-0 flex-col gap-2 text-sm">
      {known.map((provider) => {
        const fact = facts.providers[provider];
        const ready = fact?.state === "ready";
        return (
          <li key={provider} className="flex items-start gap-2.5">
            {ready ? (
              <Check size={16} className="mt-0.5 shrink-0 text-good" role="img" aria-label="ready" />
            ) : (
              <TriangleAlert size={16} className="mt-0.5 shrink-0 text-warn" role="img" aria-label="not ready" />
            )}
            <div className="min-w-0">
              <span>{PROVIDER_NAME[provider]}</span>
              {fact?.version && <span className="text-ink-soft"> {fact.version}</span>}
              {!ready && <span className="text-ink-soft"> {fact?.reason ?? "is not ready"}</span>}
              {!ready && fact?.fix && <Fix text={fact.fix} />}
            </div>
          </li>
        );
      })}
    </ul>
  );
}
