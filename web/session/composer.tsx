import { ChevronDown, Square, SquareX } from "lucide-react";
import { memo } from "react";
import type { Provider } from "#protocol/vocabulary.ts";
import { Button } from "../ui/button.tsx";
import { Menu, MenuItem } from "../ui/menu.tsx";
import { PromptBox } from "./prompt-box.tsx";
import { ProviderChoice, useProviderChoice } from "./provider-choice.tsx";
import type { SessionStore } from "./session-store.ts";
import { useDraft } from "./use-draft.ts";

type ComposerProps = {
  store: SessionStore;
  /** What the session used last; undefined before it has been read. */
  provider: Provider | undefined;
  /** The active run, or the one that waits to become it. */
  runId: string | undefined;
  stopping: boolean;
  queued: number;
  disabled: boolean;
};

/** Remembered, since a session changes with every word that arrives, and this does not. */
export const Composer = memo(function Composer({ store, provider, runId, stopping, queued, disabled }: ComposerProps) {
  const [draft, setDraft] = useDraft(store.sessionId);
  const choice = useProviderChoice(store.sessionId, provider);
  const send = (text: string): void => {
    store.prompt({ text, provider: choice.provider, model: choice.model || undefined });
    setDraft("");
  };
  return (
    <PromptBox
      value={draft}
      onChange={setDraft}
      onSend={send}
      autoFocus
      disabled={disabled}
      placeholder={runId ? "Add a follow-up…" : "Ask the agent to build, fix or explain something"}
      actions={runId && <StopButton store={store} runId={runId} stopping={stopping} queued={queued} />}
    >
      <ProviderChoice choice={choice} tight={runId !== undefined} />
    </PromptBox>
  );
});

type StopProps = { store: SessionStore; runId: string; stopping: boolean; queued: number };

function StopButton({ store, runId, stopping, queued }: StopProps) {
  const hint =
    queued > 0 ? "Stop the current prompt (Esc); queued prompts will continue" : "Stop the current prompt (Esc)";
  return (
    <span className="flex">
      <Button
        size="small"
        data-testid="stop"
        title={hint}
        disabled={stopping}
        onClick={() => store.stopRun(runId)}
        className={queued > 0 ? "h-8 rounded-e-none" : "h-8"}
      >
        <Square size={12} fill="currentColor" /> {stopping ? "Stopping…" : "Stop"}
      </Button>
      {queued > 0 && (
        <Menu
          label="More ways to stop"
          trigger={
            <Button size="small" aria-label="More ways to stop" className="-ms-px h-8 rounded-s-none px-1.5">
              <ChevronDown size={14} />
            </Button>
          }
        >
          <MenuItem onSelect={() => store.stopRun(runId)}>
            <Square size={14} /> Stop; queued prompts will continue
          </MenuItem>
          <MenuItem danger onSelect={() => store.stopRun(runId, { clearQueue: true })}>
            <SquareX size={14} /> Stop and clear the queue
          </MenuItem>
        </Menu>
      )}
    </span>
  );
}
