import { RotateCw, X } from "lucide-react";
import { Button } from "../ui/button.tsx";
import { CopyButton } from "../ui/copy-button.tsx";
import type { SessionStore } from "./session-store.ts";
import type { Turn } from "./turns.ts";

/** The prompt, from the moment it is sent: the bubble stays the same while its state changes. */
export function UserMessage({ turn, store, author }: { turn: Turn; store: SessionStore; author?: string }) {
  const { prompt, out } = turn;
  const first = prompt?.parts[0];
  const text = first && "text" in first ? String(first.text) : (out?.command.prompt.text ?? "");
  const refused = out?.state === "refused" ? out : undefined;
  return (
    <article
      data-testid="message-user"
      data-state={out?.state ?? turn.run?.state ?? "done"}
      aria-label={author ? `Prompt from ${author}` : "Prompt"}
      className="group/prompt relative ms-auto flex max-w-[min(85%,38rem)] flex-col items-end gap-1"
    >
      <div className="whitespace-pre-wrap break-words rounded-2xl rounded-ee-md bg-accent-wash px-4 py-2.5" dir="auto">
        {text}
      </div>
      <span className="absolute end-full me-1 mt-1.5 opacity-0 focus-within:opacity-100 group-hover/prompt:opacity-100 pointer-coarse:hidden">
        <CopyButton text={text} label="Copy prompt" />
      </span>
      <div className="flex items-center gap-2 text-ink-soft text-xs">
        {out && !refused && <span>{out.state === "sending" ? "Sending…" : "Sent"}</span>}
        {!out && turn.run?.state === "queued" && <span>Queued</span>}
        {refused && (
          <>
            <span className="text-bad" role="alert">
              Not sent: {refused.message}
            </span>
            <Button size="small" look="quiet" onClick={() => store.retry(refused.command.id)}>
              <RotateCw size={13} /> Try again
            </Button>
            <Button size="small" look="quiet" onClick={() => store.discard(refused.command.id)}>
              <X size={13} /> Discard
            </Button>
          </>
        )}
      </div>
    </article>
  );
}
