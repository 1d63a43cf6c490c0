import type { ComponentProps } from "react";
import { cx } from "./cx.ts";

const LOOK = {
  primary: "bg-accent text-accent-ink hover:brightness-110 disabled:bg-line disabled:text-ink-soft",
  plain: "border border-line-strong bg-surface hover:bg-sunken disabled:text-ink-soft",
  quiet: "text-ink-soft hover:bg-line/60 hover:text-ink disabled:opacity-50",
  danger: "border border-bad/50 bg-surface text-bad hover:bg-bad-wash disabled:opacity-50",
} as const;

const SIZE = {
  normal: "h-9 px-3.5 text-sm",
  small: "h-7 px-2.5 text-[0.8125rem]",
  icon: "size-8 justify-center",
} as const;

export type ButtonProps = ComponentProps<"button"> & { look?: keyof typeof LOOK; size?: keyof typeof SIZE };

export function Button({ look = "plain", size = "normal", className, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      className={cx(
        "inline-flex shrink-0 select-none items-center whitespace-nowrap justify-center gap-1.5 rounded-lg font-medium transition-colors disabled:cursor-not-allowed pointer-coarse:min-h-10",
        LOOK[look],
        SIZE[size],
        size === "icon" && "pointer-coarse:min-w-10",
        className,
      )}
      {...rest}
    />
  );
}

/** A button that is only a picture: its name is said and shown on hover. */
export function IconButton({ label, ...rest }: ButtonProps & { label: string }) {
  return <Button look="quiet" size="icon" aria-label={label} title={label} {...rest} />;
}
