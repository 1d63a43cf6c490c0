/**
 * What an agent wrote, as it arrives. Pictures from elsewhere are shown as links: loading them would tell their owner who
 * reads what, and is how a prompt injection gets data out of a page.
 */
import { type ComponentProps, createElement, isValidElement, memo, type ReactNode } from "react";
import { type Components, type ExtraProps, Streamdown } from "streamdown";
import { CopyButton } from "../ui/copy-button.tsx";
import { HighlightedCode } from "../ui/highlighted-code.tsx";

function textOf(node: ReactNode): string {
  if (typeof node === "string" || typeof node === "number") return String(node);
  if (Array.isArray(node)) return node.map(textOf).join("");
  return isValidElement<{ children?: ReactNode }>(node) ? textOf(node.props.children) : "";
}

function CodeFence({ className, children }: ComponentProps<"code"> & ExtraProps) {
  const code = textOf(children).replace(/\n$/, "");
  const language = /language-([\w+#-]+)/.exec(className ?? "")?.[1] ?? "";
  return (
    <figure className="my-3 overflow-hidden rounded-xl border border-line bg-sunken">
      <figcaption className="flex items-center justify-between py-1 ps-3.5 pe-1.5 text-ink-soft text-xs">
        <span className="font-mono">{language || "text"}</span>
        <CopyButton text={code} label="Copy code" />
      </figcaption>
      <HighlightedCode code={code} name={language} className="max-h-[28rem] px-3.5 pb-3" />
    </figure>
  );
}

function InlineCode({ children }: ComponentProps<"code"> & ExtraProps) {
  return <code className="rounded-md bg-line/60 px-1.5 py-0.5 font-mono text-[0.88em]">{children}</code>;
}

function Anchor({ href, children }: ComponentProps<"a"> & ExtraProps) {
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

function PictureLink({ src, alt }: ComponentProps<"img"> & ExtraProps) {
  const address = typeof src === "string" ? src : undefined;
  return <Anchor href={address}>{alt || "picture"}</Anchor>;
}

function Table({ children }: ComponentProps<"table"> & ExtraProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reachable with the keyboard
    <div className="overflow-x-auto" tabIndex={0}>
      <table>{children}</table>
    </div>
  );
}

/** The element without the classes that the library would give it: sizes and rhythm are in styles.css. */
const plain = (
  tag: "h1" | "h2" | "h3" | "h4" | "ul" | "li" | "blockquote" | "hr" | "thead" | "tbody" | "tr" | "th" | "td",
) =>
  function Plain({ children }: { children?: ReactNode } & ExtraProps) {
    return createElement(tag, undefined, children);
  };

const COMPONENTS: Components = {
  code: CodeFence,
  inlineCode: InlineCode,
  a: Anchor,
  img: PictureLink,
  table: Table,
  h1: plain("h1"),
  h2: plain("h2"),
  h3: plain("h3"),
  h4: plain("h4"),
  ul: plain("ul"),
  li: plain("li"),
  blockquote: plain("blockquote"),
  hr: plain("hr"),
  thead: plain("thead"),
  tbody: plain("tbody"),
  tr: plain("tr"),
  th: plain("th"),
  td: plain("td"),
};

export const Markdown = memo(function Markdown({ text, streaming }: { text: string; streaming: boolean }) {
  return (
    <Streamdown
      className="prose"
      components={COMPONENTS}
      mode={streaming ? "streaming" : "static"}
      controls={false}
      dir="auto"
    >
      {text}
    </Streamdown>
  );
});
