import { memo } from "react";
import { cx } from "../ui/cx.ts";
import { ansiSpans, type Span } from "./ansi-spans.ts";

/** The sixteen named colours are the theme's own, so that they can be read on it. */
const COLOUR: Readonly<Record<string, string>> = {
  red: "var(--bad)",
  green: "var(--good)",
  yellow: "var(--warn)",
  blue: "var(--shiki-token-function)",
  magenta: "var(--shiki-token-keyword)",
  cyan: "var(--accent)",
  "bright-black": "var(--ink-soft)",
};

const colourOf = (name: string | undefined): string | undefined =>
  name?.startsWith("rgb") ? name : name && (COLOUR[name] ?? COLOUR[name.replace("bright-", "")]);

/** Backgrounds are left to the theme: with its text colours they could not be read. */
export const AnsiText = memo(function AnsiText({ text }: { text: string }) {
  return ansiSpans(text).map((span, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: a span is its place
    <span key={index} className={classOf(span)} style={span.fg ? { color: colourOf(span.fg) } : undefined}>
      {span.text}
    </span>
  ));
});

function classOf({ bold, faint, italic, underline, bg }: Span): string | undefined {
  return (
    cx(
      bold && "font-semibold",
      faint && "text-ink-soft",
      italic && "italic",
      underline && "underline",
      bg && "bg-line/60",
    ) || undefined
  );
}
