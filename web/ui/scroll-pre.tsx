import type { ComponentProps } from "react";

/** Preformatted text that scrolls: what scrolls has to be reachable with the keyboard. */
export function ScrollPre({ label, ...rest }: ComponentProps<"pre"> & { label?: string }) {
  const named = label ? ({ role: "region", "aria-label": label } as const) : undefined;
  // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
  return <pre tabIndex={0} {...named} {...rest} />;
}
