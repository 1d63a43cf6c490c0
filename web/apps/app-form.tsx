/** An app's name, what its runs get when nobody says otherwise, and what its sessions may reach. */
import { type FormEvent, useState } from "react";
import { NETWORK_MODES, PROVIDERS, VM_MODES } from "#protocol/vocabulary.ts";
import { useCredentials } from "../credentials/credential-queries.ts";
import { Button } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Field, Select, TextArea } from "../ui/field.tsx";
import { Notice } from "../ui/notice.tsx";
import { PROVIDER_NAME } from "../ui/provider-icon.tsx";
import { type AppDraft, appOf, draftOf, optionsOf } from "./app-draft.ts";
import { type AppRecord, useSaveApp } from "./app-queries.ts";
import { NETWORK_TEXT, PERMISSION_TEXT } from "./app-texts.ts";

/** @param app the one that is changed; without it a new one is made */
export function AppForm({ app, onClose }: { app?: AppRecord; onClose: () => void }) {
  const [draft, setDraft] = useState(() => draftOf(app));
  const save = useSaveApp(onClose);
  const { data: credentials = [] } = useCredentials();
  const set = (change: Partial<AppDraft>): void => setDraft((before) => ({ ...before, ...change }));
  const isUnderstood = optionsOf(draft) !== undefined;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    save.mutate(appOf(draft, app));
  };
  return (
    <Dialog title={app ? `Change ${app.name}` : "Add an app"} onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4" autoComplete="off">
        {/* An app is known by its name: another name would be another app. */}
        {!app && (
          <Field
            label="Name"
            value={draft.name}
            onValue={(name) => set({ name })}
            maxLength={100}
            required
            data-autofocus
          />
        )}
        <Field
          label="Description"
          value={draft.description}
          onValue={(description) => set({ description })}
          maxLength={2_000}
          {...(app ? { "data-autofocus": true } : {})}
        />
        <Select
          label="Agent"
          value={draft.provider}
          options={[
            { value: "", text: "The organisation's own" },
            ...PROVIDERS.map((each) => ({ value: each, text: PROVIDER_NAME[each] })),
          ]}
          onValue={(provider) => set({ provider })}
        />
        <Field
          label="Model"
          value={draft.model}
          onValue={(model) => set({ model })}
          maxLength={200}
          placeholder="The agent's default"
          spellCheck={false}
        />
        <Select
          label="Before it acts"
          value={draft.permissionMode}
          options={[
            ...Object.entries(PERMISSION_TEXT).map(([value, text]) => ({ value, text })),
            ...(draft.permissionMode in PERMISSION_TEXT
              ? []
              : [{ value: draft.permissionMode, text: draft.permissionMode }]),
          ]}
          onValue={(permissionMode) => set({ permissionMode })}
        />
        <TextArea
          label="More options, as JSON"
          value={draft.options}
          onValue={(options) => set({ options })}
          placeholder={'{ "effort": "high" }'}
          spellCheck={false}
          aria-invalid={!isUnderstood}
          className="font-mono"
        />
        {!isUnderstood && <p className="text-bad text-xs">These are not the fields of an object in JSON.</p>}
        <Select
          label="Credential"
          value={draft.credentialId}
          options={[
            { value: "", text: "Whatever fits" },
            ...credentials.map(({ id, name, hint }) => ({ value: id, text: `${name} ${hint}` })),
          ]}
          onValue={(credentialId) => set({ credentialId })}
        />
        <Select
          label="Network"
          value={draft.networkPolicy}
          options={NETWORK_MODES.map((each) => ({ value: each, text: NETWORK_TEXT[each].name }))}
          onValue={(networkPolicy) => set({ networkPolicy })}
        >
          {NETWORK_TEXT[draft.networkPolicy].means}
        </Select>
        {draft.networkPolicy === "allowlist" && (
          <TextArea
            label="Hosts, one a line"
            value={draft.allowlist}
            onValue={(allowlist) => set({ allowlist })}
            placeholder={"github.com\n*.packages.example:8443"}
            spellCheck={false}
            required
          />
        )}
        <div className="grid gap-4 sm:grid-cols-2">
          <Minutes
            label="Longest run, minutes"
            placeholder="The default"
            value={draft.runMinutes}
            onValue={(runMinutes) => set({ runMinutes })}
          />
          <Minutes
            label="Time to answer, minutes"
            placeholder="As long as it takes"
            value={draft.answerMinutes}
            onValue={(answerMinutes) => set({ answerMinutes })}
          />
          <Select
            label="Isolation"
            value={draft.vmMode}
            options={[
              { value: "", text: "The organisation's own" },
              ...VM_MODES.map((each) => ({ value: each, text: each })),
            ]}
            onValue={(vmMode) => set({ vmMode })}
          />
          <Select
            label="Seen by"
            value={draft.visibility}
            options={[
              { value: "organization", text: "Everyone" },
              { value: "private", text: "Me and administrators" },
            ]}
            onValue={(visibility) => set({ visibility })}
          />
        </div>
        {save.error && <Notice tone="bad" title={save.error.message} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={save.isPending || !isUnderstood || draft.name.trim() === ""}>
            {app ? "Save" : "Add"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Minutes(props: { label: string; placeholder: string; value: string; onValue: (value: string) => void }) {
  return <Field type="number" min={1} max={10_080} step="any" inputMode="decimal" {...props} />;
}
