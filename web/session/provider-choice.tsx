/** Which agent carries the prompt out. What no host has ready cannot be chosen; it says why, and the hosts page what to do. */
import { useNavigate } from "@tanstack/react-router";
import { ChevronDown, Server } from "lucide-react";
import { useState } from "react";
import { CAPABILITIES, type Capability, PROVIDER_CAPABILITIES } from "#protocol/capabilities.ts";
import type { HostRecord } from "#protocol/http.ts";
import { PROVIDERS, type Provider } from "#protocol/vocabulary.ts";
import { useHosts } from "../hosts/host-queries.ts";
import { type Standing, standingOf } from "../hosts/provider-standing.ts";
import { Button } from "../ui/button.tsx";
import { CAPABILITY_TEXT } from "../ui/capability-texts.ts";
import { cx } from "../ui/cx.ts";
import { Menu, MenuItem, MenuRadio, MenuRadioGroup } from "../ui/menu.tsx";
import { PROVIDER_NAME, ProviderIcon } from "../ui/provider-icon.tsx";

export type Choice = { provider: Provider; model: string; set(provider: Provider, model: string): void };

/** `fallback`: what the session used last. */
export function useProviderChoice(place: string, fallback: Provider | undefined): Choice {
  const [picked, setPicked] = useState<{ place: string; provider: Provider; model: string }>();
  const { data } = useHosts();
  const mine = picked?.place === place ? picked : undefined;
  return {
    provider: mine?.provider ?? fallback ?? firstReady(data ?? []),
    model: mine?.model ?? "",
    set: (provider, model) => setPicked({ place, provider, model }),
  };
}

function firstReady(hosts: readonly HostRecord[]): Provider {
  return PROVIDERS.find((provider) => standingOf(provider, hosts).ready) ?? "scripted";
}

export function ProviderChoice({ choice, tight = false }: { choice: Choice; tight?: boolean }) {
  const { data: hosts } = useHosts();
  const navigate = useNavigate();
  const options = optionsOf(hosts);
  return (
    <>
      <Menu
        label="Agent"
        trigger={
          <Button
            look="quiet"
            size="small"
            aria-label={`Agent: ${PROVIDER_NAME[choice.provider]}`}
            className="min-w-0 shrink ps-1"
          >
            <ProviderIcon provider={choice.provider} className="size-5" />
            <span className="truncate">{PROVIDER_NAME[choice.provider]}</span>
            <ChevronDown size={13} className="shrink-0" />
          </Button>
        }
      >
        <MenuRadioGroup value={choice.provider} onValueChange={(value) => choice.set(value as Provider, choice.model)}>
          {options.map(({ provider, standing }) => (
            <ProviderOption key={provider} provider={provider} standing={standing} />
          ))}
        </MenuRadioGroup>
        {options.some(({ standing }) => !standing.ready) && (
          <MenuItem onSelect={() => void navigate({ to: "/hosts" })}>
            <Server size={16} className="m-1 text-ink-soft" aria-hidden /> Set up an agent
          </MenuItem>
        )}
      </Menu>
      {choice.provider !== "scripted" && (
        <input
          value={choice.model}
          onChange={(event) => choice.set(choice.provider, event.target.value)}
          aria-label="Model (optional)"
          placeholder="Default model"
          spellCheck={false}
          className={cx(
            "h-7 w-32 min-w-0 rounded-lg bg-transparent px-2 text-[0.8125rem] hover:bg-line/60 focus:bg-sunken pointer-coarse:text-base",
            tight && "max-sm:hidden",
          )}
        />
      )}
    </>
  );
}

type Option = { provider: Provider; standing: Standing };

/** What can be chosen comes first. Without knowledge of the hosts nothing is forbidden: the session will say what is missing. */
function optionsOf(hosts: readonly HostRecord[] | undefined): Option[] {
  const options = PROVIDERS.map((provider): Option => {
    return { provider, standing: hosts ? standingOf(provider, hosts) : { ready: true, hosts: 0 } };
  });
  return options.sort((a, b) => Number(b.standing.ready) - Number(a.standing.ready));
}

function ProviderOption({ provider, standing }: Option) {
  const lacks = CAPABILITIES.filter(
    (capability) => differs(capability) && !PROVIDER_CAPABILITIES[provider][capability],
  ).map((capability) => CAPABILITY_TEXT[capability].without);
  return (
    <MenuRadio value={provider} disabled={!standing.ready}>
      <ProviderIcon provider={provider} className={standing.ready ? "" : "opacity-50"} />
      <span className="min-w-0">
        <span className={standing.ready ? "" : "text-ink-soft"}>{PROVIDER_NAME[provider]}</span>
        {standing.ready && lacks.length > 0 && <span className="block text-ink-soft text-xs">{lacks.join(" · ")}</span>}
        {!standing.ready && <span className="block text-ink-soft text-xs">{standing.reason}</span>}
      </span>
    </MenuRadio>
  );
}

/** What no agent can do yet does not help anybody to choose. */
function differs(capability: Capability): boolean {
  return PROVIDERS.some((provider) => PROVIDER_CAPABILITIES[provider][capability]);
}
