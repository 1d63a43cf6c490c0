import { KeyRound, Plus } from "lucide-react";
import { useState } from "react";
import type { CredentialRecord } from "#protocol/credentials.ts";
import { Button } from "../ui/button.tsx";
import { ConfirmDialog } from "../ui/dialog.tsx";
import { EmptyState } from "../ui/empty-state.tsx";
import { Notice } from "../ui/notice.tsx";
import { PageHeader } from "../ui/page-header.tsx";
import { RelativeTime } from "../ui/relative-time.tsx";
import { AddCredential, RotateCredential } from "./credential-form.tsx";
import { KIND_NAME } from "./credential-kinds.ts";
import { useCredentials, useRevokeCredential } from "./credential-queries.ts";

export function CredentialsPage() {
  const [adding, setAdding] = useState(false);
  const { data: credentials, error, isPending } = useCredentials();
  return (
    <>
      <PageHeader>
        <h1 className="flex-1 font-semibold">Credentials</h1>
        <Button look="primary" size="small" className="h-8" onClick={() => setAdding(true)}>
          <Plus size={15} /> Add
        </Button>
      </PageHeader>
      <div className="min-h-0 flex-1 overflow-y-auto">
        <div className="mx-auto flex w-full max-w-4xl flex-col gap-6 px-4 py-6 sm:px-6">
          <p className="max-w-[60ch] text-ink-soft">
            Keys that your agents use and cannot read. They are sealed here and opened in the memory of the host that
            runs a session; its proxy adds them on the way out.
          </p>
          {error && !credentials && <Notice tone="bad" title={error.message} />}
          {isPending && <p className="breathe text-ink-soft">Loading…</p>}
          {credentials?.length === 0 && (
            <EmptyState icon={<KeyRound size={20} />} title="No credential yet">
              <p>Without one, hosts use the keys that stand in their own environment.</p>
              <Button className="mt-4" onClick={() => setAdding(true)}>
                Add a credential
              </Button>
            </EmptyState>
          )}
          {credentials && credentials.length > 0 && (
            <ul className="flex flex-col gap-3">
              {credentials.map((credential) => (
                <CredentialRow key={credential.id} credential={credential} />
              ))}
            </ul>
          )}
        </div>
      </div>
      {adding && <AddCredential onClose={() => setAdding(false)} />}
    </>
  );
}

function CredentialRow({ credential }: { credential: CredentialRecord }) {
  const [asking, setAsking] = useState<"rotate" | "revoke">();
  const close = () => setAsking(undefined);
  const revoke = useRevokeCredential(close);
  const { id, name, kind, hint, baseUrl, appId, createdAt, rotatedAt, lastUsedAt } = credential;
  return (
    <li
      data-testid="credential-row"
      className="flex flex-col gap-3 rounded-xl border border-line bg-surface px-4 py-3 sm:flex-row sm:items-center"
    >
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-baseline gap-x-2">
          <span className="min-w-0 break-words font-medium">{name}</span>
          <code className="text-ink-soft text-xs">{hint}</code>
        </p>
        <p className="break-words text-ink-soft text-sm">
          {KIND_NAME[kind]}
          {baseUrl && ` at ${baseUrl}`}
          {appId && `, for one app`}
        </p>
        <p className="text-ink-soft text-xs">
          {rotatedAt ? "Rotated " : "Added "}
          <RelativeTime at={rotatedAt ?? createdAt} />
          {" · "}
          {lastUsedAt ? (
            <>
              used <RelativeTime at={lastUsedAt} />
            </>
          ) : (
            "never used"
          )}
        </p>
      </div>
      <div className="flex gap-2">
        <Button size="small" onClick={() => setAsking("rotate")}>
          Rotate
        </Button>
        <Button size="small" look="danger" onClick={() => setAsking("revoke")}>
          Revoke
        </Button>
      </div>
      {asking === "rotate" && <RotateCredential credential={credential} onClose={close} />}
      {asking === "revoke" && (
        <ConfirmDialog title={`Revoke ${name}?`} action="Revoke" onConfirm={() => revoke.mutate(id)} onClose={close}>
          Its sealed value is erased, and hosts stop using it within a minute. Runs that need it fail.
        </ConfirmDialog>
      )}
    </li>
  );
}
