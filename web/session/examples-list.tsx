import { EXAMPLES } from "../sessions/examples.ts";

export function Examples({ onPick }: { onPick: (text: string) => void }) {
  return (
    <ul className="flex w-full max-w-2xl flex-col">
      {EXAMPLES.map(({ title, prompt }) => (
        <li key={title} className="border-t first:border-t-0">
          <button
            type="button"
            onClick={() => onPick(prompt)}
            className="w-full rounded-lg px-3 py-2.5 text-start hover:bg-line/50"
          >
            <span className="font-medium text-sm">{title}</span>
            <span className="line-clamp-2 text-ink-soft text-sm">{prompt.split("\n")[0]}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}
