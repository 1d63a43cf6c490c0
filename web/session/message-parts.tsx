import { ChevronRight } from "lucide-react";
import { memo, useState } from "react";
import type { DataPart, Message, MessagePart, NoticePart, TextPart } from "#protocol/transcript.ts";
import { messageText } from "#protocol/transcript.ts";
import { CopyButton } from "../ui/copy-button.tsx";
import { cx } from "../ui/cx.ts";
import { Notice } from "../ui/notice.tsx";
import { Markdown } from "./markdown.tsx";
import { groupParts, isTool, stepsSummary } from "./part-groups.ts";
import { Reasoning } from "./reasoning.tsx";
import { ToolCard } from "./tool-card.tsx";

/** One message of the agent. `over`: its run has ended, quiet steps may fold. */
export const AssistantMessage = memo(function AssistantMessage({ message, over }: { message: Message; over: boolean }) {
  const text = messageText(message);
  return (
    <article data-testid="message-assistant" aria-label="Agent" className="group/message flex flex-col gap-3">
      {groupParts(message.parts, over).map((group) =>
        group.kind === "one" ? (
          <Part key={group.key} part={group.part} />
        ) : (
          <Steps key={group.key} parts={group.parts} />
        ),
      )}
      {message.state === "done" && text && (
        <div className="-mt-2 h-7 opacity-0 transition-opacity focus-within:opacity-100 group-hover/message:opacity-100 pointer-coarse:opacity-100">
          <CopyButton text={text} label="Copy message" className="-ms-1.5" />
        </div>
      )}
    </article>
  );
});

function Part({ part }: { part: MessagePart }) {
  if (isTool(part)) return <ToolCard part={part} />;
  switch (part.type) {
    case "text":
      return isText(part) && part.text ? <Markdown text={part.text} streaming={part.state === "streaming"} /> : null;
    case "reasoning":
      return isText(part) && part.text.trim() ? (
        <Reasoning text={part.text} streaming={part.state === "streaming"} />
      ) : null;
    case "error":
      return <Notice tone="bad" title={(part as NoticePart).text} />;
    default:
      return <Data part={part as DataPart} />;
  }
}

const isText = (part: MessagePart): part is TextPart => part.type === "text" || part.type === "reasoning";

/** Parts that only this provider knows: shown as they are, closed. */
function Data({ part }: { part: DataPart }) {
  return (
    <details className="rounded-xl border px-3 py-2 text-sm">
      <summary className="text-ink-soft">{part.type.slice("data-".length).replace(/[-_]/g, " ")}</summary>
      <pre className="mt-2 max-h-60 overflow-auto font-mono text-xs">{JSON.stringify(part.data, null, 2)}</pre>
    </details>
  );
}

function Steps({ parts }: { parts: readonly MessagePart[] }) {
  const [open, setOpen] = useState(false);
  return (
    <div>
      <button
        type="button"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
        className="flex items-center gap-1.5 rounded-md py-0.5 text-ink-soft text-sm hover:text-ink"
      >
        <ChevronRight size={15} className={cx("transition-transform", open && "rotate-90")} aria-hidden />
        {stepsSummary(parts)}
      </button>
      {open && (
        <div className="mt-2 flex flex-col gap-2 ps-5">
          {parts.map((part, index) => (
            <Part key={isTool(part) ? part.toolCallId : `${part.type}-${index}`} part={part} />
          ))}
        </div>
      )}
    </div>
  );
}
