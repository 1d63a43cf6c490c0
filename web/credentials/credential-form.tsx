/** Entering a value: for a new credential, or as the next value of one that is there. It is never shown again. */
import { type ComponentProps, type FormEvent, useState } from "react";
import type { CredentialRecord } from "#protocol/credentials.ts";
import type { CredentialKind } from "#protocol/vocabulary.ts";
import { Button } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Field, Select } from "../ui/field.tsx";
import { KIND_NAME } from "./credential-kinds.ts";
import { useCreateCredential, useRotateCredential } from "./credential-queries.ts";

/** What a page can offer: `header` has no page of its own yet. */
const OFFERED = ["anthropic", "openai", "openai-compatible"] as const satisfies readonly CredentialKind[];

export function AddCredential({ onClose }: { onClose: () => void }) {
  const [kind, setKind] = useState<(typeof OFFERED)[number]>("anthropic");
  const [name, setName] = useState("");
  const [baseUrl, setBaseUrl] = useState("");
  const [value, setValue] = useState("");
  const create = useCreateCredential(onClose);
  const needsUrl = kind === "openai-compatible";
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    create.mutate({
      kind,
      name: name.trim(),
      value: value.trim(),
      ...(baseUrl.trim() ? { baseUrl: baseUrl.trim() } : {}),
    });
  };
  return (
    <Dialog title="Add a credential" onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4" autoComplete="off">
        <Select
          label="Kind"
          value={kind}
          options={OFFERED.map((each) => ({ value: each, text: KIND_NAME[each] }))}
          onValue={setKind}
        />
        <Field label="Name" value={name} onValue={setName} maxLength={100} required data-autofocus />
        <Field
          label={needsUrl ? "Base URL" : "Base URL (if not the vendor's own)"}
          value={baseUrl}
          onValue={setBaseUrl}
          type="url"
          required={needsUrl}
          placeholder="https://"
        />
        <ValueField value={value} onValue={setValue} />
        <Actions
          busy={create.isPending}
          ready={name.trim() !== "" && value.trim().length >= 8}
          onClose={onClose}
          action="Add"
        />
      </form>
    </Dialog>
  );
}

export function RotateCredential({ credential, onClose }: { credential: CredentialRecord; onClose: () => void }) {
  const [value, setValue] = useState("");
  const rotate = useRotateCredential(onClose);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    rotate.mutate({ id: credential.id, value: value.trim() });
  };
  return (
    <Dialog title={`Rotate ${credential.name}`} onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4" autoComplete="off">
        <p className="text-ink-soft text-sm">
          Replaces the value that ends in <code>{credential.hint}</code>. Hosts that hold it get the new one; what is
          under way goes on.
        </p>
        <ValueField value={value} onValue={setValue} data-autofocus />
        <Actions busy={rotate.isPending} ready={value.trim().length >= 8} onClose={onClose} action="Rotate" />
      </form>
    </Dialog>
  );
}

function ValueField(props: Omit<ComponentProps<typeof Field>, "label">) {
  return (
    <div className="flex flex-col gap-1">
      {/* No password manager has any business with a key of the organisation's. */}
      <Field label="Value" type="password" autoComplete="new-password" spellCheck={false} required {...props} />
      <p className="text-ink-soft text-xs">Sealed as soon as it is sent. Nobody can look at it again.</p>
    </div>
  );
}

type ActionsProps = { busy: boolean; ready: boolean; action: string; onClose: () => void };

function Actions({ busy, ready, action, onClose }: ActionsProps) {
  return (
    <div className="flex justify-end gap-2">
      <Button onClick={onClose}>Cancel</Button>
      <Button type="submit" look="primary" disabled={busy || !ready}>
        {busy ? "Sealing…" : action}
      </Button>
    </div>
  );
}
