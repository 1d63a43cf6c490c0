/** Providers by name and a letter mark of our own: logos belong to their owners. */
import type { Provider } from "#protocol/vocabulary.ts";
import { cx } from "./cx.ts";

export const PROVIDER_NAME: Readonly<Record<Provider, string>> = {
  "claude-code": "Claude Code",
  "codex-app-server": "Codex",
  opencode: "opencode",
  native: "Native",
  acp: "ACP agent",
  scripted: "Scripted",
};

const MARK: Readonly<Record<Provider, { letters: string; className: string }>> = {
  "claude-code": { letters: "Cl", className: "bg-[light-dark(#f6e6da,#3a2a1e)] text-[light-dark(#8a4413,#eab08a)]" },
  "codex-app-server": {
    letters: "Cx",
    className: "bg-[light-dark(#e3ebf7,#1d2a3d)] text-[light-dark(#244f8f,#9dbdf0)]",
  },
  opencode: { letters: "oc", className: "bg-[light-dark(#ece8e2,#2c2a27)] text-[light-dark(#55493a,#d3c6b2)]" },
  native: { letters: "N", className: "bg-accent-wash text-accent" },
  acp: { letters: "A", className: "bg-[light-dark(#efe5f3,#30233a)] text-[light-dark(#6b3585,#d3aee6)]" },
  scripted: { letters: "S", className: "bg-[light-dark(#e6ece4,#222d21)] text-[light-dark(#3c5a33,#aecba4)]" },
};

export function ProviderIcon({ provider, className }: { provider: Provider; className?: string }) {
  const { letters, className: colours } = MARK[provider];
  return (
    <span
      role="img"
      aria-label={PROVIDER_NAME[provider]}
      title={PROVIDER_NAME[provider]}
      className={cx(
        "grid size-6 shrink-0 place-items-center rounded-md font-semibold text-[0.6875rem]",
        colours,
        className,
      )}
    >
      {letters}
    </span>
  );
}
