import type { ReactNode } from "react";

export function SignInFrame({ children }: { children: ReactNode }) {
  return (
    <main className="grid min-h-dvh place-items-center overflow-y-auto bg-canvas p-4">
      <div className="w-full max-w-sm rounded-2xl border bg-surface px-7 py-8 text-center shadow-(color:--shadow) shadow-sm">
        <img src="/icon.svg" alt="" className="mx-auto mb-4 size-12" />
        {children}
      </div>
    </main>
  );
}
