import { CircleAlert, Info } from "lucide-react";
import type { ReactNode } from "react";
import { cx } from "./cx.ts";

/** Something went wrong or wants to be known, where it concerns. */
export function Notice({
  tone,
  title,
  children,
}: {
  tone: "bad" | "warn" | "note";
  title: string;
  children?: ReactNode;
}) {
  const Icon = tone === "note" ? Info : CircleAlert;
  return (
    <div
      className={cx(
        "flex gap-3 rounded-xl border px-4 py-3 text-sm",
        tone === "bad" && "border-bad/40 bg-bad-wash",
        tone === "warn" && "border-warn/40 bg-warn-wash",
        tone === "note" && "border-line bg-surface",
      )}
    >
      <Icon size={17} className={cx("mt-0.5 shrink-0", tone === "bad" && "text-bad", tone === "warn" && "text-warn")} />
      <div className="min-w-0 flex-1">
        <p className="font-medium">{title}</p>
        {children}
      </div>
    </div>
  );
}
