import { Ellipsis } from "lucide-react";
import { useState } from "react";
import type { HostRecord } from "#protocol/http.ts";
import type { HostStatus } from "#protocol/vocabulary.ts";
import { plural } from "../format.ts";
import { useMay } from "../sign-in/use-me.ts";
import { IconButton } from "../ui/button.tsx";
import { ConfirmDialog } from "../ui/dialog.tsx";
import { Menu, MenuItem } from "../ui/menu.tsx";
import { RelativeTime } from "../ui/relative-time.tsx";
import { type DotTone, StatusDot } from "../ui/status-dot.tsx";
import { HostProviders } from "./host-providers.tsx";
import { useHostAction } from "./host-queries.ts";

/** The colour comes from the status itself, never from the words. */
const STATUS: Readonly<Record<HostStatus, { text: string; tone: DotTone }>> = {
  pending: { text: "Joined, not seen yet", tone: "warn" },
  online: { text: "Online", tone: "good" },
  draining: { text: "Draining: takes no new work", tone: "warn" },
  offline: { text: "Offline", tone: "bad" },
  disabled: { text: "Disabled", tone: "off" },
  failed: { text: "Failed", tone: "bad" },
};

export function HostRow({ host }: { host: HostRecord }) {
  const { text, tone } = STATUS[host.status];
  const { facts } = host;
  return (
    <li data-testid="host-row" aria-label={host.name} className="rounded-2xl border bg-surface px-4 py-4 sm:px-5">
      <div className="flex items-start gap-3">
        <div className="min-w-0 flex-1">
          <h2 className="truncate font-semibold">{host.name}</h2>
          <p className="flex flex-wrap items-center gap-x-2 gap-y-0.5 text-ink-soft text-sm">
            <span className="flex items-center gap-2 text-ink">
              <StatusDot tone={tone} /> {text}
            </span>
            {host.status !== "online" && host.lastSeenAt !== undefined && (
              <span>
                last seen <RelativeTime at={host.lastSeenAt} />
              </span>
            )}
            {facts && (
              <span>
                {facts.platform} · {facts.vmModes.join(", ")} · version {facts.version}
              </span>
            )}
          </p>
        </div>
        <HostActions host={host} />
      </div>
      {facts && (
        <div className="mt-3.5 grid gap-x-8 gap-y-3 sm:grid-cols-[1fr_11rem]">
          <HostProviders facts={facts} />
          <Slots used={host.leases} slots={facts.slots} />
        </div>
      )}
    </li>
  );
}

function Slots({ used, slots }: { used: number; slots: number }) {
  return (
    <div className="text-sm">
      <p className="text-ink-soft">
        {used} of {plural(slots, "slot")} in use
      </p>
      {/* biome-ignore lint/a11y/useSemanticElements: no two browsers let a <meter> be coloured the same way */}
      <div
        role="meter"
        aria-label="Slots in use"
        aria-valuemin={0}
        aria-valuemax={slots}
        aria-valuenow={used}
        className="mt-1.5 h-1.5 overflow-hidden rounded-full bg-line"
      >
        <div
          className="h-full rounded-full bg-accent"
          style={{ width: `${slots > 0 ? Math.min(100, (100 * used) / slots) : 0}%` }}
        />
      </div>
    </div>
  );
}

function HostActions({ host }: { host: HostRecord }) {
  const [removing, setRemoving] = useState(false);
  const drain = useHostAction("drainHost");
  const resume = useHostAction("resumeHost");
  const mayAdminister = useMay("hosts.admin");
  const remove = useHostAction("removeHost");
  if (!mayAdminister) return null;
  const resting = host.status === "draining" || host.status === "disabled";
  return (
    <>
      <Menu
        label={`Actions for ${host.name}`}
        trigger={
          <IconButton label={`Actions for ${host.name}`}>
            <Ellipsis size={17} />
          </IconButton>
        }
      >
        {resting ? (
          <MenuItem onSelect={() => resume.mutate(host.id)}>Resume: take work again</MenuItem>
        ) : (
          <MenuItem onSelect={() => drain.mutate(host.id)}>Drain: finish, take nothing new</MenuItem>
        )}
        <MenuItem danger onSelect={() => setRemoving(true)}>
          Remove…
        </MenuItem>
      </Menu>
      {removing && (
        <ConfirmDialog
          title={`Remove ${host.name}?`}
          action="Remove"
          onConfirm={() => remove.mutate(host.id)}
          onClose={() => setRemoving(false)}
        >
          <p>
            It is signed off at once
            {host.leases > 0 ? `, and the ${plural(host.leases, "session")} it carries lose it` : ""}. Sessions and
            their saved files are kept. It can join again later.
          </p>
        </ConfirmDialog>
      )}
    </>
  );
}
