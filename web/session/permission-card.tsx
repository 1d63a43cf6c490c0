import { ShieldQuestion } from "lucide-react";
import { type KeyboardEvent, useRef, useState } from "react";
import type { HumanLoopReply } from "#protocol/events.ts";
import type { PendingRequest } from "#protocol/session-view.ts";
import { Button } from "../ui/button.tsx";
import { HighlightedCode } from "../ui/highlighted-code.tsx";
import { RelativeTime } from "../ui/relative-time.tsx";
import { isTyping } from "../ui/shortcuts.ts";
import { DiffList } from "./diff-view.tsx";
import { requestDetail } from "./request-detail.ts";

type Props = { request: PendingRequest; busy: boolean; provider: string; onReply: (reply: HumanLoopReply) => void };

/** Shows all of what is asked for. Nothing here has the focus by itself: whoever types must not approve by Enter. */
export function PermissionCard({ request, busy, provider, onReply }: Props) {
  const [denying, setDenying] = useState(false);
  const reason = useRef<HTMLTextAreaElement>(null);
  const detail = requestDetail(request);
  const reply = (rest: Omit<HumanLoopReply, "requestId">): void => onReply({ requestId: request.requestId, ...rest });
  const allow = (scope: HumanLoopReply["scope"]): void => reply({ decision: "allow", scope });
  const onKey = (event: KeyboardEvent): void => {
    if (busy || isTyping(event.target) || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.key === "a") allow("once");
    else if (event.key === "d") setDenying(true);
    else return;
    event.preventDefault();
  };
  const leaveOnEscape = (event: KeyboardEvent): void => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    setDenying(false);
  };
  return (
    <section
      data-testid="permission-card"
      aria-label={`Permission: ${request.title}`}
      tabIndex={-1}
      onKeyDown={onKey}
      className="arrive flex max-h-[60dvh] flex-col rounded-2xl border-2 border-warn/60 bg-raised shadow-(color:--shadow) shadow-lg"
    >
      <header className="flex items-start gap-3 px-4 pt-3.5">
        <ShieldQuestion size={19} className="mt-0.5 shrink-0 text-warn" aria-hidden />
        <div className="min-w-0 flex-1">
          <h3 className="break-words font-semibold">{request.title}</h3>
          <p className="text-ink-soft text-xs">
            {[detail.asker ?? provider, detail.tool].filter(Boolean).join(" · ")} asks,{" "}
            <RelativeTime at={request.requestedAt} />
            {request.expiresAt !== undefined && (
              <>
                {" "}
                · expires <ExpiresAt at={request.expiresAt} />
              </>
            )}
          </p>
        </div>
      </header>
      <div className="flex min-h-0 flex-col gap-2 overflow-y-auto px-4 py-3">
        {detail.note && <p className="break-words text-sm">{detail.note}</p>}
        {detail.command && (
          <HighlightedCode
            code={detail.command}
            name="bash"
            className="shrink-0 whitespace-pre-wrap break-words rounded-lg bg-sunken px-3 py-2"
          />
        )}
        <DiffList diffs={detail.diffs} className="max-h-56" />
        {detail.rest && (
          <HighlightedCode
            code={JSON.stringify(detail.rest, null, 2)}
            name="json"
            className="max-h-40 rounded-lg bg-sunken px-3 py-2"
          />
        )}
        {detail.cwd && (
          <p className="text-ink-soft text-xs">
            in <code className="font-mono">{detail.cwd}</code>
          </p>
        )}
        {request.rule && (
          <p className="text-ink-soft text-xs">
            “Allow for this session” saves the rule{" "}
            <code className="break-all rounded bg-sunken px-1 py-0.5 font-mono text-ink">{request.rule}</code>
          </p>
        )}
      </div>
      <footer className="border-t px-4 py-3">
        {denying ? (
          <form
            className="flex flex-col gap-2"
            onSubmit={(event) => {
              event.preventDefault();
              reply({ decision: "deny", scope: "once", reason: reason.current?.value.trim() || undefined });
            }}
          >
            <textarea
              ref={reason}
              // biome-ignore lint/a11y/noAutofocus: the button that was pressed is gone
              autoFocus
              rows={2}
              aria-label="Why not? The agent reads this."
              placeholder="Why not, and what should it do instead? (optional, the agent reads it)"
              className="w-full resize-none rounded-lg border border-line-strong bg-surface px-3 py-2 text-sm"
              onKeyDown={leaveOnEscape}
            />
            <div className="flex justify-end gap-2">
              <Button onClick={() => setDenying(false)}>Back</Button>
              <Button type="submit" look="danger" disabled={busy} data-testid="deny-send">
                Deny
              </Button>
            </div>
          </form>
        ) : (
          <div className="grid grid-cols-2 gap-2 sm:flex sm:items-center">
            <Button
              look="primary"
              data-testid="allow-once"
              disabled={busy}
              onClick={() => allow("once")}
              className="max-sm:col-span-2 max-sm:h-11"
            >
              Allow once
            </Button>
            {request.rule && (
              <Button data-testid="allow-session" disabled={busy} onClick={() => allow("session")} className="px-2">
                Allow for this session
              </Button>
            )}
            <Button
              look="danger"
              data-testid="deny"
              disabled={busy}
              onClick={() => setDenying(true)}
              className="sm:ms-auto"
            >
              Deny…
            </Button>
          </div>
        )}
      </footer>
    </section>
  );
}

function ExpiresAt({ at }: { at: number }) {
  const text = new Date(at).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  return <time dateTime={new Date(at).toISOString()}>{text}</time>;
}
