import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { IconButton } from "./button.tsx";
import { cx } from "./cx.ts";
import { toast } from "./toast.tsx";

const SHOWN_MS = 1_500;

export function CopyButton({
  text,
  label = "Copy",
  className,
}: {
  text: string | (() => string);
  label?: string;
  className?: string;
}) {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    const value = typeof text === "string" ? text : text();
    // Pages served over plain http from another machine have no clipboard.
    if (!navigator.clipboard) return toast("This browser only lets pages served over HTTPS copy.", "bad");
    await navigator.clipboard.writeText(value);
    setCopied(true);
    setTimeout(() => setCopied(false), SHOWN_MS);
  };
  return (
    <IconButton label={copied ? "Copied" : label} onClick={() => void copy()} className={cx("size-7", className)}>
      {copied ? <Check size={14} className="text-good" /> : <Copy size={14} />}
    </IconButton>
  );
}
