import { Examples } from "./examples-list.tsx";

/** A session in which nothing has been said. */
export function TranscriptStart({ onPick }: { onPick: (text: string) => void }) {
  return (
    <section
      data-testid="transcript"
      aria-label="Conversation"
      className="flex min-h-0 flex-1 flex-col items-center justify-center gap-5 overflow-y-auto px-6"
    >
      <p className="text-ink-soft">Nothing has been said yet. Write a prompt, or try one of these.</p>
      <Examples onPick={onPick} />
    </section>
  );
}

/** Still on its way: keeps the place, says nothing. */
export function TranscriptSkeleton() {
  return (
    <section
      aria-busy="true"
      aria-label="Loading the conversation"
      className="mx-auto flex w-full max-w-3xl flex-1 flex-col gap-4 px-6 pt-8"
    >
      {["w-2/5 self-end", "w-4/5", "w-3/5", "w-2/3"].map((width) => (
        <div key={width} className={`breathe h-5 rounded-lg bg-line ${width}`} />
      ))}
    </section>
  );
}
