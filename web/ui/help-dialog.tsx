import { Dialog } from "./dialog.tsx";
import { SHORTCUTS } from "./shortcuts.ts";

export function HelpDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose}>
      {SHORTCUTS.map(({ where, keys }) => (
        <section key={where} className="mt-4 first:mt-0">
          <h3 className="mb-1.5 font-medium text-ink-soft text-sm">{where}</h3>
          <dl>
            {keys.map(({ press, does }) => (
              <div
                key={press + does}
                className="flex items-baseline justify-between gap-6 border-t py-1.5 text-sm first:border-t-0"
              >
                <dt className="order-2 shrink-0">
                  <kbd className="rounded-md border border-line-strong bg-sunken px-1.5 py-0.5 font-mono text-xs">
                    {press}
                  </kbd>
                </dt>
                <dd>{does}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </Dialog>
  );
}
