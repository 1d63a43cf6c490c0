/** The start page: a prompt starts a session. */
import { useNavigate } from "@tanstack/react-router";
import { useHosts } from "../hosts/host-queries.ts";
import { Setup } from "../hosts/setup-hint.tsx";
import { Examples } from "../session/examples-list.tsx";
import { PromptBox } from "../session/prompt-box.tsx";
import { ProviderChoice, useProviderChoice } from "../session/provider-choice.tsx";
import { useDraft } from "../session/use-draft.ts";
import { sessionStore } from "../session/use-session.ts";
import { PageHeader } from "../ui/page-header.tsx";
import { useCreateSession } from "./session-queries.ts";

const PLACE = "home";

export function HomePage() {
  const [draft, setDraft] = useDraft(PLACE);
  const choice = useProviderChoice(PLACE, undefined);
  const create = useCreateSession();
  const navigate = useNavigate();
  const { data: hosts } = useHosts();
  const start = async (text: string): Promise<void> => {
    const { session } = await create.mutateAsync({ title: titleOf(text), provider: choice.provider });
    // The store keeps the prompt until its socket is live: the first message cannot fall between two pages.
    sessionStore(session.id).prompt({ text, provider: choice.provider, model: choice.model || undefined });
    setDraft("");
    await navigate({ to: "/s/$sessionId", params: { sessionId: session.id } });
  };
  const send = (text: string): void => {
    // The mutation has said why; the draft is still there.
    start(text).catch(() => undefined);
  };
  return (
    <>
      <div className="lg:hidden">
        <PageHeader>New session</PageHeader>
      </div>
      <div className="flex min-h-0 flex-1 flex-col overflow-y-auto">
        <div className="mx-auto flex w-full max-w-2xl flex-col gap-6 px-4 pt-[min(14dvh,9rem)] pb-10 sm:px-6">
          <h1 className="text-balance font-semibold text-2xl tracking-tight">What should the agent do?</h1>
          <PromptBox
            value={draft}
            onChange={setDraft}
            onSend={send}
            disabled={create.isPending}
            autoFocus
            placeholder="Describe the work. It runs on your own machine."
          >
            <ProviderChoice choice={choice} />
          </PromptBox>
          {hosts && !hosts.some((host) => host.status === "online") && <Setup hosts={hosts} />}
          <section aria-label="Examples">
            <h2 className="mb-1 px-3 text-ink-soft text-sm">Or begin with one of these</h2>
            <Examples onPick={setDraft} />
          </section>
        </div>
      </div>
    </>
  );
}

const TITLE_CHARS = 80;

/** The first line, cut at a word. */
function titleOf(text: string): string {
  const line = text.split("\n")[0]?.trim() ?? "";
  if (line.length <= TITLE_CHARS) return line;
  const cut = line.slice(0, TITLE_CHARS);
  return `${cut.slice(0, cut.lastIndexOf(" ") > 40 ? cut.lastIndexOf(" ") : TITLE_CHARS)}…`;
}
