import { lazy, type ReactNode, Suspense } from "react";
import { activeRun } from "#protocol/session-view.ts";
import type { SessionState } from "./session-state.ts";
import { TodoPanel } from "./todo-panel.tsx";
import { WorkspaceStatus } from "./workspace-status.tsx";

/** On its own: the conversation does not wait for it. */
const RunTimeline = lazy(async () => ({ default: (await import("./run-timeline.tsx")).RunTimeline }));

export function SessionRail({ session }: { session: SessionState }) {
  return (
    <div className="flex flex-col divide-y">
      <Section title="Steps">
        <TodoPanel items={session.view.todos.items} />
      </Section>
      <Section title="Workspace">
        <WorkspaceStatus
          sessionId={session.view.id}
          worker={session.view.worker}
          workspace={session.view.workspace}
          running={activeRun(session.view) !== undefined}
          // Before the tail has been read nothing is known, and nothing is claimed.
          hostConnected={session.hostConnected || !session.loaded}
        />
      </Section>
      <Section title="Runs">
        <Suspense>
          <RunTimeline runs={session.view.runs} />
        </Suspense>
      </Section>
    </div>
  );
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title} className="px-5 py-4">
      <h3 className="mb-2.5 font-semibold text-sm">{title}</h3>
      {children}
    </section>
  );
}
