import { Plus, Server } from "lucide-react";
import { useState } from "react";
import { useMay } from "../sign-in/use-me.ts";
import { Button } from "../ui/button.tsx";
import { EmptyState } from "../ui/empty-state.tsx";
import { Notice } from "../ui/notice.tsx";
import { PageHeader } from "../ui/page-header.tsx";
import { AddHost } from "./add-host.tsx";
import { useHosts } from "./host-queries.ts";
import { HostRow } from "./host-row.tsx";
import { ProviderMatrix } from "./provider-matrix.tsx";
import { RunQueue } from "./run-queue.tsx";

export function HostsPage() {
  const [adding, setAdding] = useState(false);
  const mayAdd = useMay("hosts.admin");
  const { data: hosts, error, isPending } = useHosts();
  return (
    <>
      <PageHeader>
        <h1 className="flex-1 font-semibold">Hosts</h1>
        {mayAdd && (
          <Button look="primary" size="small" className="h-8" onClick={() => setAdding(true)}>
            <Plus size={15} /> Add a host
          </Button>
        )}
      </PageHeader>
      <div className="min-h-0 flex-1 overflow-y-auto">
        <div className="mx-auto flex w-full max-w-4xl flex-col gap-8 px-4 py-6 sm:px-6">
          <p className="max-w-[60ch] text-ink-soft">
            Machines that run your agents. They dial in, so nothing has to be opened to the internet, and the
            conversation outlives them.
          </p>
          {error && !hosts && <Notice tone="bad" title={error.message} />}
          {isPending && <p className="breathe text-ink-soft">Loading…</p>}
          {hosts?.length === 0 && (
            <EmptyState icon={<Server size={20} />} title="No host has joined yet">
              <p>Add the machine that you work on, a server, or both. One command is enough.</p>
              {mayAdd && (
                <Button className="mt-4" onClick={() => setAdding(true)}>
                  Add a host
                </Button>
              )}
            </EmptyState>
          )}
          {hosts && hosts.length > 0 && (
            <ul className="flex flex-col gap-3">
              {hosts.map((host) => (
                <HostRow key={host.id} host={host} />
              ))}
            </ul>
          )}
          {hosts && <ProviderMatrix hosts={hosts} />}
          <RunQueue />
        </div>
      </div>
      {adding && <AddHost onClose={() => setAdding(false)} />}
    </>
  );
}
