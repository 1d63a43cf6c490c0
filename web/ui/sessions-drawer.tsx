import { Sidebar } from "../sessions/sidebar.tsx";
import { Dialog } from "./dialog.tsx";

/** The list of sessions on a phone. */
export function SessionsDrawer({ onClose }: { onClose: () => void }) {
  return (
    <Dialog
      bare
      title="Sessions"
      onClose={onClose}
      className="m-0 h-dvh max-h-none w-[min(20rem,86vw)] max-w-none rounded-none rounded-e-2xl bg-sunken"
    >
      <div className="flex h-dvh flex-col">
        <Sidebar />
      </div>
    </Dialog>
  );
}
