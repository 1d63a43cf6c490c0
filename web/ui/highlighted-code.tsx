import { memo, useEffect, useState } from "react";
import { cx } from "./cx.ts";
import { highlight, type Token } from "./highlight.ts";
import { ScrollPre } from "./scroll-pre.tsx";

type Shown = { code: string; lines: Token[][] };
/** While code streams in, colour what stood still for a moment. */
const QUIET_MS = 120;

/** Code in a `<pre>`; plain at once, coloured as soon as the grammar is here. `name` is a language or a file's name. */
export const HighlightedCode = memo(function HighlightedCode(props: {
  code: string;
  name: string;
  numbers?: boolean;
  className?: string;
}) {
  const { code, name, numbers, className } = props;
  const [shown, setShown] = useState<Shown>();
  useEffect(() => {
    let wanted = true;
    const timer = setTimeout(() => {
      void highlight(code, name).then((lines) => {
        if (wanted && lines) setShown({ code, lines });
      });
    }, QUIET_MS);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [code, name]);
  const lines: Token[][] =
    shown?.code === code ? shown.lines : code.split("\n").map((content) => (content ? [{ content }] : []));
  return (
    <ScrollPre className={cx("overflow-auto font-mono text-[0.8125rem] leading-[1.55]", className)}>
      <code className={numbers ? "[counter-reset:line]" : undefined}>
        {lines.map((line, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line is its number
          <span key={index} className={cx("block min-h-[1.55em]", numbers && NUMBERED)}>
            {line.map((token, column) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place
              <span key={column} style={token.color ? { color: token.color } : undefined}>
                {token.content}
              </span>
            ))}
          </span>
        ))}
      </code>
    </ScrollPre>
  );
});

const NUMBERED =
  "ps-12 relative before:absolute before:start-0 before:w-9 before:select-none before:text-end before:text-ink-soft/60 before:content-[counter(line)] [counter-increment:line]";
