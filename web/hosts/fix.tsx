import { CopyButton } from "../ui/copy-button.tsx";

/** What to do about something on a host: a sentence is read, a command is copied. */
export function Fix({ text }: { text: string }) {
  if (text.endsWith(".")) return <span className="block">{text}</span>;
  return (
    <span className="flex items-center gap-1">
      <code className="min-w-0 break-all rounded bg-sunken px-1.5 py-0.5 font-mono text-xs">{text}</code>
      <CopyButton text={text} label="Copy the fix" />
    </span>
  );
}
