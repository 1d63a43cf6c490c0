import { ChevronRight } from "lucide-react";
import { useState } from "react";
import { cx } from "../ui/cx.ts";
import { Markdown } from "./markdown.tsx";

/** Open while the agent thinks, closed afterwards, unless the reader has decided otherwise. */
export function Reasoning({ text, streaming }: { text: string; streaming: boolean }) {
  const [chosen, setChosen] = useState<boolean>();
  const open = chosen ?? streaming;
  return (
    <div>
      <button
        type="button"
        aria-expanded={open}
        onClick={() => setChosen(!open)}
        className="flex items-center gap-1.5 rounded-md py-0.5 text-ink-soft text-sm hover:text-ink"
      >
        <ChevronRight size={15} className={cx("transition-transform", open && "rotate-90")} aria-hidden />
        <span className={cx(streaming && "breathe")}>{streaming ? "Thinking" : "Thought"}</span>
      </button>
      {open && (
        <div className="ms-[0.45rem] mt-1 border-line-strong border-s-2 ps-4 text-[0.9em] text-ink-soft">
          <Markdown text={text} streaming={streaming} />
        </div>
      )}
    </div>
  );
}
