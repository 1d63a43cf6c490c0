/** The field that people write prompts in: grows with the text, sends with Enter, never in the middle of a word. */
import { ArrowUp } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useRef } from "react";
import { LIMITS } from "#protocol/limits.ts";
import { Button } from "../ui/button.tsx";
import { enterSends } from "./enter-key.ts";

type Props = {
  value: string;
  onChange: (text: string) => void;
  onSend: (text: string) => void;
  placeholder: string;
  autoFocus?: boolean;
  disabled?: boolean;
  /** Left of the send button. */
  children?: ReactNode;
  /** Between the choices and the send button. */
  actions?: ReactNode;
};

const isTouch = (): boolean => matchMedia("(pointer: coarse)").matches;

export function PromptBox({ value, onChange, onSend, placeholder, autoFocus, disabled, children, actions }: Props) {
  const compositionEndedAt = useRef<number>(undefined);
  const text = value.trim();
  const tooLong = text.length > LIMITS.promptBytes / 4 && new TextEncoder().encode(text).length > LIMITS.promptBytes;
  const ready = text !== "" && !tooLong && !disabled;
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    const press = {
      key: event.key,
      shiftKey: event.shiftKey,
      isComposing: event.nativeEvent.isComposing,
      keyCode: event.keyCode,
      compositionEndedAt: compositionEndedAt.current,
      at: event.timeStamp,
      touch: isTouch(),
    };
    if (!enterSends(press)) return;
    event.preventDefault();
    if (ready) onSend(text);
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) onSend(text);
      }}
      className="rounded-2xl border border-line-strong bg-raised shadow-(color:--shadow) shadow-sm transition-colors focus-within:border-accent"
    >
      <textarea
        data-testid="composer"
        aria-label="Prompt"
        rows={1}
        dir="auto"
        value={value}
        // biome-ignore lint/a11y/noAutofocus: the page exists for this field; phones are left alone
        autoFocus={autoFocus && !isTouch()}
        placeholder={placeholder}
        enterKeyHint={isTouch() ? "enter" : "send"}
        onChange={(event) => onChange(event.target.value)}
        onCompositionEnd={(event) => {
          compositionEndedAt.current = event.timeStamp;
        }}
        onKeyDown={onKeyDown}
        className="field-sizing-content block max-h-[38dvh] min-h-12 w-full resize-none bg-transparent px-4 pt-3 pb-1 text-base outline-none sm:text-[0.9375rem]"
      />
      <div className="flex items-center gap-1.5 px-2 pb-2">
        <div className="flex min-w-0 flex-1 items-center gap-1.5">{children}</div>
        {tooLong && <span className="text-bad text-xs">Too long for one prompt</span>}
        {actions}
        <Button
          type="submit"
          look="primary"
          size="icon"
          data-testid="send"
          aria-label="Send"
          title="Send (Enter)"
          disabled={!ready}
          className="rounded-full"
        >
          <ArrowUp size={17} />
        </Button>
      </div>
    </form>
  );
}
