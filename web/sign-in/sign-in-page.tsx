/**
 * Trades the token of a one-time link for a session. A click is needed: mail scanners and link previews open links, and
 * would use the token up before its owner does.
 */
import { useState } from "react";
import { ApiError, api } from "../api.ts";
import { Button } from "../ui/button.tsx";
import { Notice } from "../ui/notice.tsx";
import { HowToGetALink } from "./how-to-get-a-link.tsx";
import { SignInFrame } from "./sign-in-frame.tsx";

/** In the fragment it never reaches a server's log; the query is understood as well. */
function tokenOf(where: Location): string | undefined {
  return (
    new URLSearchParams(where.hash.slice(1)).get("token") ?? new URLSearchParams(where.search).get("token") ?? undefined
  );
}

type Refusal = { title: string; text: string };

function refusalOf(error: unknown): Refusal {
  if (!(error instanceof ApiError)) return { title: "Signing in did not work", text: String(error) };
  if (error.reason === "network")
    return {
      title: "Gantry cannot be reached",
      text: "Check your connection, then try again. The link is still good.",
    };
  if (/used/.test(error.reason))
    return { title: "This link has been used", text: "A sign-in link works once. Ask for a new one." };
  if (/expired/.test(error.reason))
    return { title: "This link has expired", text: "Sign-in links are short-lived. Ask for a new one." };
  if (error.status === 410)
    return { title: "This link no longer works", text: "It was used already, or it has expired. Ask for a new one." };
  if (error.status === 429) return { title: "Too many attempts", text: "Wait a minute, then try again." };
  if (error.status >= 500)
    return { title: "Gantry failed to answer", text: "Try again in a moment. The link is still good." };
  return {
    title: "This link is not valid",
    text: "Perhaps a part of it was lost when it was copied. Ask for a new one.",
  };
}

export function SignInPage() {
  const [token] = useState(() => tokenOf(location));
  const [refusal, setRefusal] = useState<Refusal>();
  const [busy, setBusy] = useState(false);
  const signIn = async (): Promise<void> => {
    if (!token) return;
    setBusy(true);
    setRefusal(undefined);
    try {
      await api.signIn(token);
      // A full load: nothing of the signed-out page stays, and the token leaves the address.
      location.replace("/");
    } catch (error) {
      setRefusal(refusalOf(error));
      setBusy(false);
    }
  };
  return (
    <SignInFrame>
      {token ? (
        <>
          <h1 className="font-semibold text-xl">Welcome to Gantry</h1>
          <p className="mt-1 mb-5 text-ink-soft">This link signs you in on this device. It works once.</p>
          {refusal && (
            <div className="mb-5 text-start" role="alert">
              <Notice tone="bad" title={refusal.title}>
                <p>{refusal.text}</p>
              </Notice>
            </div>
          )}
          <Button look="primary" className="h-11 w-full" disabled={busy} onClick={() => void signIn()}>
            {busy ? "Signing in…" : "Sign in"}
          </Button>
          {refusal && <HowToGetALink />}
        </>
      ) : (
        <>
          <h1 className="font-semibold text-xl">You are not signed in</h1>
          <p className="mt-1 text-ink-soft">Gantry has no passwords: a one-time link signs you in.</p>
          <HowToGetALink />
        </>
      )}
    </SignInFrame>
  );
}
