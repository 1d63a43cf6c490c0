/** The gate before every page but the sign-in: without a session it shows the way to one. */
import type { ReactNode } from "react";
import { ApiError } from "../api.ts";
import { Button } from "../ui/button.tsx";
import { SignInFrame } from "./sign-in-frame.tsx";
import { SignInPage } from "./sign-in-page.tsx";
import { useMe } from "./use-me.ts";

export function SignedInOnly({ children }: { children: ReactNode }) {
  const me = useMe();
  if (me.data) return children;
  if (me.error instanceof ApiError && me.error.status === 401) return <SignInPage />;
  if (me.error) {
    return (
      <SignInFrame>
        <h1 className="font-semibold text-xl">Gantry cannot be reached</h1>
        <p className="mt-1 mb-5 text-ink-soft">{me.error.message}</p>
        <Button look="primary" className="w-full" disabled={me.isFetching} onClick={() => void me.refetch()}>
          Try again
        </Button>
      </SignInFrame>
    );
  }
  return <div aria-busy="true" className="h-dvh bg-canvas" />;
}
