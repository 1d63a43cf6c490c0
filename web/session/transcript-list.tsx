/** The newest turns, pinned to the bottom while the reader is there. Older ones come on request: no virtual list to fight with. */
import { ArrowDown } from "lucide-react";
import { memo, useEffect, useRef, useState } from "react";
import { type StickToBottomInstance, useStickToBottom } from "use-stick-to-bottom";
import { Button } from "../ui/button.tsx";
import { cx } from "../ui/cx.ts";
import { AssistantMessage } from "./message-parts.tsx";
import { RunFooter } from "./run-footer.tsx";
import type { SessionStore } from "./session-store.ts";
import { sameTurn, type Turn } from "./turns.ts";
import { UserMessage } from "./user-message.tsx";

const SHOWN_TURNS = 50;
/** These are laid out even when they are not in view: scrolling to the end must not jump. */
const ALWAYS_LAID_OUT = 4;

export function TranscriptList({ turns, store }: { turns: readonly Turn[]; store: SessionStore }) {
  const [shown, setShown] = useState(SHOWN_TURNS);
  const stick = useStickToBottom({ initial: "instant", resize: "instant" });
  useFollowWhenSqueezed(stick);
  const hidden = Math.max(0, turns.length - shown);
  return (
    <div className="relative min-h-0 flex-1">
      <section
        ref={stick.scrollRef}
        data-testid="transcript"
        aria-label="Conversation"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable with the keyboard
        tabIndex={0}
        className="h-full overflow-y-auto overscroll-contain -outline-offset-2"
      >
        <div ref={stick.contentRef} className="mx-auto flex w-full max-w-3xl flex-col gap-8 px-4 pt-6 pb-8 sm:px-6">
          {hidden > 0 && (
            <Button size="small" className="mx-auto" onClick={() => setShown(shown + SHOWN_TURNS)}>
              Show earlier ({hidden})
            </Button>
          )}
          {turns.slice(hidden).map((turn, index, all) => (
            <TurnView
              key={turn.prompt?.id ?? turn.key}
              turn={turn}
              store={store}
              settled={index < all.length - ALWAYS_LAID_OUT}
            />
          ))}
        </div>
      </section>
      {!stick.isAtBottom && (
        <Button
          size="small"
          className="absolute inset-x-0 bottom-3 mx-auto w-fit rounded-full bg-raised shadow-(color:--shadow) shadow-md"
          onClick={() => void stick.scrollToBottom()}
        >
          <ArrowDown size={14} /> Latest
        </Button>
      )}
    </div>
  );
}

/** What appears below (a question, the queue) takes room from the transcript: whoever read the end goes on reading it. */
function useFollowWhenSqueezed({ scrollRef, scrollToBottom, isAtBottom }: StickToBottomInstance): void {
  const atBottom = useRef(isAtBottom);
  atBottom.current = isAtBottom;
  useEffect(() => {
    const element = scrollRef.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      if (atBottom.current) void scrollToBottom("instant");
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [scrollRef, scrollToBottom]);
}

const TurnView = memo(
  function TurnView({ turn, store, settled }: { turn: Turn; store: SessionStore; settled: boolean }) {
    const over = turn.run === undefined || turn.run.state === "finished";
    return (
      <div className={cx("flex flex-col gap-3", settled && "skip-offscreen")}>
        {(turn.prompt || turn.out) && <UserMessage turn={turn} store={store} author={turn.run?.author.name} />}
        {turn.replies.map((message) => (
          <AssistantMessage key={message.id} message={message} over={over} />
        ))}
        {turn.run && <RunFooter run={turn.run} />}
      </div>
    );
  },
  (a, b) => sameTurn(a.turn, b.turn) && a.store === b.store && a.settled === b.settled,
);
