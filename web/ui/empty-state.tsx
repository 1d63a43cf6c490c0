import type { ReactNode } from "react";

export function EmptyState({ icon, title, children }: { icon: ReactNode; title: string; children?: ReactNode }) {
  return (
    <div className="mx-auto flex max-w-sm flex-col items-center gap-2 px-6 py-14 text-center">
      <div className="mb-1 grid size-11 place-items-center rounded-2xl bg-accent-wash text-accent">{icon}</div>
      <p className="font-medium">{title}</p>
      <div className="text-ink-soft text-sm">{children}</div>
    </div>
  );
}
