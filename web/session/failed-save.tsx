import { CloudAlert } from "lucide-react";
import type { WorkspaceView } from "#protocol/workspace-view.ts";
import { clockTime } from "../format.ts";
import { BlockedWorkspace } from "./blocked-workspace.tsx";
import { failureTexts, unsavedText } from "./safety-texts.ts";

type Props = {
  sessionId: string;
  failure: NonNullable<WorkspaceView["failure"]>;
  /** When the newest snapshot was made, milliseconds since 1970; undefined: there is none. */
  syncedAt: number | undefined;
};

/** The last save failed: why, how much is not saved, and what happens next. */
export function FailedSave({ sessionId, failure, syncedAt }: Props) {
  const { title, words } = failureTexts(failure);
  const unsaved = unsavedText(failure);
  return (
    <div className="flex items-start gap-2.5 text-warn" role="status">
      <CloudAlert size={16} className="mt-0.5 shrink-0" aria-hidden />
      <span className="min-w-0 break-words">
        {title}
        <span className="block break-words text-ink">{words}</span>
        <span className="block text-xs">
          {unsaved ? `${unsaved}. ` : ""}Attempt {failure.attempt}
          {failure.nextAt && !failure.blocked ? `, retrying at ${clockTime(failure.nextAt)}` : ""}
          {syncedAt ? `. Last saved at ${clockTime(syncedAt)}` : ". Nothing has been saved yet"}
        </span>
        {failure.blocked && <BlockedWorkspace sessionId={sessionId} />}
      </span>
    </div>
  );
}
