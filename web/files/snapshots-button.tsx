import { History } from "lucide-react";
import { useState } from "react";
import type { SnapshotRecord } from "#protocol/changes.ts";
import type { Message } from "#protocol/transcript.ts";
import { Button } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { SnapshotList } from "./snapshot-list.tsx";

type Props = {
  sessionId: string;
  snapshots: readonly SnapshotRecord[];
  messages: readonly Message[];
  /** The one that the page is about. */
  shown: string | undefined;
};

/** The way to all snapshots of a session, from wherever one of them is looked at. */
export function SnapshotsButton({ sessionId, snapshots, messages, shown }: Props) {
  const [open, setOpen] = useState(false);
  const close = (): void => setOpen(false);
  return (
    <>
      <Button size="small" look="quiet" data-testid="snapshots" aria-haspopup="dialog" onClick={() => setOpen(true)}>
        <History size={15} aria-hidden /> Snapshots
      </Button>
      {open && (
        <Dialog title="Snapshots" onClose={close} className="w-[min(calc(100vw-1.5rem),36rem)]">
          <p className="mb-3 text-ink-soft text-sm">
            The newest three stay, and so does what was saved in the last day. Pin one to keep it for longer.
          </p>
          <SnapshotList {...{ sessionId, snapshots, messages, shown }} onLeave={close} />
        </Dialog>
      )}
    </>
  );
}
