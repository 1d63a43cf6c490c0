/**
 * The browser's own modal dialog: focus stays inside and returns, Esc closes, the rest is inert; and no style element is
 * written into the page, so the content security policy needs no 'unsafe-inline'.
 */
import { X } from "lucide-react";
import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { Button, IconButton } from "./button.tsx";
import { cx } from "./cx.ts";

type DialogProps = { title: string; onClose: () => void; children: ReactNode; className?: string; bare?: boolean };

/** Open as long as it is rendered. */
export function Dialog({ title, onClose, children, className, bare }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  // A layout effect: only a dialog that is closed before it leaves the page gives the focus back to where it was.
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    // React has no autofocus attribute for the dialog to find, and its own focus() came before there was a dialog.
    dialog?.querySelector<HTMLElement>("[data-autofocus]")?.focus();
    return () => dialog?.close();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Esc closes a modal dialog by itself
    <dialog
      ref={ref}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === event.currentTarget && onClose()}
      className={cx(
        "arrive m-auto max-h-[min(85dvh,44rem)] w-[min(calc(100vw-2rem),30rem)] overflow-auto rounded-2xl border border-line bg-raised text-ink shadow-2xl shadow-(color:--shadow)",
        className,
      )}
    >
      <div className={bare ? "" : "p-5"}>
        <div className={cx("flex items-center justify-between gap-4", bare ? "sr-only" : "mb-3")}>
          <h2 id={titleId} className="font-semibold text-lg">
            {title}
          </h2>
          {!bare && (
            <IconButton label="Close" onClick={onClose}>
              <X size={17} />
            </IconButton>
          )}
        </div>
        {children}
      </div>
    </dialog>
  );
}

type ConfirmProps = { title: string; children: ReactNode; action: string; onConfirm: () => void; onClose: () => void };

/** Asks before something that cannot be taken back; Cancel has the focus. */
export function ConfirmDialog({ title, children, action, onConfirm, onClose }: ConfirmProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <div className="text-ink-soft">{children}</div>
      <div className="mt-5 flex justify-end gap-2">
        <Button onClick={onClose} data-autofocus>
          Cancel
        </Button>
        <Button
          look="danger"
          onClick={() => {
            onConfirm();
            onClose();
          }}
        >
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
