/** The whole of a tool call: what was asked for and what came back. */
import { useState } from "react";
import type { ToolPart } from "#protocol/transcript.ts";
import { byteSize } from "../format.ts";
import { Button } from "../ui/button.tsx";
import { CopyButton } from "../ui/copy-button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { HighlightedCode } from "../ui/highlighted-code.tsx";
import { ScrollPre } from "../ui/scroll-pre.tsx";
import { AnsiText } from "./ansi-text.tsx";
import { DiffList } from "./diff-view.tsx";
import { editDiffs } from "./edit-diff.ts";
import { toolOutput } from "./tool-output.ts";
import { inputFields, toolKind, toolSummary } from "./tool-summary.ts";

/** A glance; the rest is one click away. */
const SHOWN_LINES = 24;
const SHOWN_CHARS = 4_000;

export function ToolDetails({ part }: { part: ToolPart }) {
  return (
    <div className="flex flex-col gap-2.5 border-t px-3 py-3">
      <Input part={part} />
      <Output part={part} />
    </div>
  );
}

function Input({ part }: { part: ToolPart }) {
  const fields = inputFields(part);
  const kind = toolKind(part.toolName);
  const diffs = kind === "edit" || kind === "write" ? editDiffs(fields) : [];
  if (diffs.length > 0) return <DiffList diffs={diffs} />;
  const command = fields.command ?? fields.cmd;
  if (kind === "run" && typeof command === "string") return <Block label="Command" text={command} language="bash" />;
  if (part.inputText !== undefined) return <Block label="Input" text={part.inputText} language="json" />;
  if (part.input === undefined) return null;
  return <Block label="Input" text={JSON.stringify(part.input, null, 2)} language="json" />;
}

function Block({ label, text, language }: { label: string; text: string; language: string }) {
  return (
    <div className="relative rounded-lg bg-sunken">
      <span className="sr-only">{label}</span>
      <HighlightedCode
        code={text}
        name={language}
        className="max-h-72 whitespace-pre-wrap break-words px-3 py-2 pe-10"
      />
      <CopyButton text={text} label={`Copy ${label.toLowerCase()}`} className="absolute end-1 top-1" />
    </div>
  );
}

function Output({ part }: { part: ToolPart }) {
  const [full, setFull] = useState(false);
  const { text, exitCode } = toolOutput(part);
  if (!text.trim()) {
    return part.state === "output-available" ? (
      <p className="text-ink-soft text-sm">No output{exitCode ? `, exit code ${exitCode}` : ""}.</p>
    ) : null;
  }
  const glance = text.split("\n").slice(-SHOWN_LINES).join("\n").slice(-SHOWN_CHARS);
  const { verb, target } = toolSummary(part);
  return (
    <div className="relative rounded-lg bg-sunken">
      <Terminal text={glance} className="max-h-72" />
      <CopyButton text={text} label="Copy output" className="absolute end-1 top-1" />
      {glance.length < text.length && (
        <Button size="small" look="quiet" className="m-1" onClick={() => setFull(true)}>
          Open full output ({byteSize(text.length)})
        </Button>
      )}
      {full && (
        <Dialog title={`${verb} ${target}`} onClose={() => setFull(false)} className="w-[min(calc(100vw-2rem),64rem)]">
          <Terminal text={text} className="max-h-[65dvh] rounded-lg bg-sunken" />
        </Dialog>
      )}
    </div>
  );
}

function Terminal({ text, className }: { text: string; className: string }) {
  return (
    <ScrollPre
      label="Output"
      className={`overflow-auto whitespace-pre-wrap break-words px-3 py-2 font-mono text-[0.8125rem] leading-[1.5] ${className}`}
    >
      <AnsiText text={text} />
    </ScrollPre>
  );
}
