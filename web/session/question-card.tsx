import { MessageCircleQuestion } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import type { HumanLoopReply } from "#protocol/events.ts";
import type { PendingRequest } from "#protocol/session-view.ts";
import { Button } from "../ui/button.tsx";
import { cx } from "../ui/cx.ts";
import { Markdown } from "./markdown.tsx";

type Props = { request: PendingRequest; busy: boolean; onReply: (reply: HumanLoopReply) => void };

/** Free text like any other answer, so that every agent understands it. */
const AGENT_DECIDES = "You decide: choose what you think is best and go on.";

/** Options, words of one's own, or neither: the agent may decide. */
export function QuestionCard({ request, busy, onReply }: Props) {
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [words, setWords] = useState("");
  const group = useId();
  const answers = [...chosen, ...(words.trim() ? [words.trim()] : [])];
  const answer = (given: string[]): void =>
    onReply({ requestId: request.requestId, decision: "answer", scope: "once", answers: given });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (answers.length > 0) answer(answers);
  };
  const pick = (id: string): void => {
    if (!request.multiple) setChosen([id]);
    else setChosen(chosen.includes(id) ? chosen.filter((other) => other !== id) : [...chosen, id]);
  };
  const text = typeof request.detail.text === "string" ? request.detail.text : undefined;
  return (
    <form
      data-testid="question-card"
      aria-label={`Question: ${request.title}`}
      onSubmit={submit}
      tabIndex={-1}
      className="arrive flex max-h-[60dvh] flex-col gap-3 overflow-y-auto rounded-2xl border-2 border-accent/50 bg-raised px-4 py-3.5 shadow-(color:--shadow) shadow-lg"
    >
      <h3 className="flex items-start gap-3 font-semibold">
        <MessageCircleQuestion size={19} className="mt-0.5 shrink-0 text-accent" aria-hidden />
        <span className="min-w-0 break-words">{request.title}</span>
      </h3>
      {text && <Markdown text={text} streaming={false} />}
      {request.options.length > 0 && (
        <fieldset className="flex flex-col gap-1.5">
          <legend className="sr-only">{request.multiple ? "Choose any" : "Choose one"}</legend>
          {request.options.map((option) => (
            <label
              key={option.id}
              className={cx(
                "flex cursor-pointer items-start gap-3 rounded-xl border px-3 py-2 text-sm hover:bg-sunken has-focus-visible:outline-2 has-focus-visible:outline-accent",
                chosen.includes(option.id) ? "border-accent bg-accent-wash" : "border-line-strong",
              )}
            >
              <input
                type={request.multiple ? "checkbox" : "radio"}
                name={group}
                checked={chosen.includes(option.id)}
                onChange={() => pick(option.id)}
                className="mt-1 accent-(--accent) outline-none"
              />
              <span className="min-w-0">
                <span className="font-medium">{option.label}</span>
                {option.description && <span className="block text-ink-soft">{option.description}</span>}
              </span>
            </label>
          ))}
        </fieldset>
      )}
      <input
        value={words}
        onChange={(event) => setWords(event.target.value)}
        aria-label="Answer in your own words"
        placeholder={request.options.length > 0 ? "Or answer in your own words" : "Your answer"}
        className="rounded-lg border border-line-strong bg-surface px-3 py-2 text-sm"
      />
      <div className="flex flex-wrap gap-2">
        <Button
          type="submit"
          look="primary"
          data-testid="answer"
          disabled={busy || answers.length === 0}
          className="max-sm:flex-1"
        >
          Answer
        </Button>
        <Button disabled={busy} onClick={() => answer([AGENT_DECIDES])} className="max-sm:flex-1">
          Let the agent decide
        </Button>
      </div>
    </form>
  );
}
