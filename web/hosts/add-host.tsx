import { useQuery } from "@tanstack/react-query";
import { api } from "../api.ts";
import { Button } from "../ui/button.tsx";
import { CopyButton } from "../ui/copy-button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Notice } from "../ui/notice.tsx";
import { useNow } from "../ui/relative-time.tsx";
import { useHosts } from "./host-queries.ts";

const TOKEN_LIFE_MS = 15 * 60_000;

export function AddHost({ onClose }: { onClose: () => void }) {
  const token = useQuery({
    queryKey: ["join-token"],
    queryFn: () =>
      api.joinToken().then((made) => ({ ...made, expiresAt: made.expiresAt ?? Date.now() + TOKEN_LIFE_MS })),
    // One token per opened dialog: it is used up by the first host that joins.
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    retry: false,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  const now = useNow();
  const { data: hosts } = useHosts();
  const since = token.dataUpdatedAt;
  const joined = token.data && hosts?.find((host) => host.createdAt >= since);
  const left = token.data ? Math.max(0, token.data.expiresAt - now) : 0;
  const command = `node executor-host/cli/gantry.mjs host join ${location.origin} --token ${token.data?.token ?? ""}`;
  return (
    <Dialog title="Add a host" onClose={onClose} className="w-[min(calc(100vw-2rem),38rem)]">
      <p className="text-ink-soft text-sm">
        On the machine that should run agents, in a checkout of Gantry, after <code>npm ci</code>:
      </p>
      {token.isPending && <p className="breathe my-4 text-ink-soft text-sm">Making a token…</p>}
      {token.error && (
        <div className="my-4">
          <Notice tone="bad" title={token.error.message} />
        </div>
      )}
      {token.data && left > 0 && (
        <div className="my-3 flex items-start gap-2 rounded-xl bg-sunken py-2.5 ps-3.5 pe-2">
          <code
            data-testid="join-command"
            className="min-w-0 flex-1 break-all font-mono text-[0.8125rem] leading-relaxed"
          >
            {command}
          </code>
          <CopyButton text={command} label="Copy command" />
        </div>
      )}
      {token.data && left > 0 && (
        <p className="text-ink-soft text-sm" role="status">
          {joined
            ? `${joined.name} has joined.`
            : `Works once, for ${Math.max(1, Math.round(left / 60_000))} more min. Then start it there with: npx gantry host run`}
        </p>
      )}
      {token.data && left === 0 && (
        <div className="my-3">
          <Notice tone="warn" title="The token has expired">
            <Button size="small" className="mt-2" onClick={() => void token.refetch()}>
              Make a new one
            </Button>
          </Notice>
        </div>
      )}
      <div className="mt-5 flex justify-end">
        <Button look={joined ? "primary" : "plain"} onClick={onClose}>
          {joined ? "Done" : "Close"}
        </Button>
      </div>
    </Dialog>
  );
}
