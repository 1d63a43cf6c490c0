/** The real control plane with everything on: sign-in, tokens, validation, numbering, acknowledgements, the D1 index. */
import type { RunEvent } from "#protocol/events.ts";
import { objectName } from "#protocol/ids.ts";
import type { Built } from "../../executor-host/local/build.ts";
import { startTestControlPlane, type TestControlPlane } from "../support/control-plane.ts";
import { newSession, Page } from "../support/live-session.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import { type BenchSession, eventOf, type Side } from "./side.ts";
import { mark, Viewer } from "./viewer.ts";

export type GantrySession = BenchSession & {
  objectName: string;
  /** Sends one frame with these events of the run. */
  say(events: RunEvent[]): Promise<void>;
  finish(): Promise<void>;
};
export type GantrySide = Omit<Side, "newSession"> & { url: string; newSession(): Promise<GantrySession> };

/** @param built another build than the one in dist/ */
export async function startGantrySide(built?: Built): Promise<GantrySide> {
  const plane = await startTestControlPlane(built ? { built } : {});
  const { joinToken = "" } = await plane.bootstrap("joinToken");
  const host = await ScriptedHost.online(plane.url, joinToken, { slots: 100 });
  return {
    name: "gantry",
    url: plane.url,
    newSession: () => runningSession(plane, host),
    dispose: () => plane.dispose(),
  };
}

/** A session with a run under way, whose host is ours to speak for. */
async function runningSession(plane: TestControlPlane, host: ScriptedHost): Promise<GantrySession> {
  const sessionId = await newSession(plane);
  const page = await Page.open(plane, sessionId);
  const asked = await page.ask({ type: "prompt", prompt: { text: "bench" } });
  if (!asked.ok) throw new Error(`the run was refused: ${asked.message}`);
  const { data } = await host.takeAssignment();
  const { run } = await data.message<{ type: string; run: { runId: string } }>("run.start");
  data.send({ type: "worker.status", state: "active" });
  data.send({ type: "run.accepted", runId: run.runId });
  await data.acknowledged(data.send({ type: "run.started", runId: run.runId }));
  // What the start left to tell the index is not what is measured.
  const stored = async () => (await plane.query("SELECT state FROM runs WHERE id = ?", run.runId))[0]?.state;
  while ((await stored()) !== "running");
  const opened: RunEvent[] = [
    { type: "message.delta", data: { messageId: "msg_bench", chunks: [{ type: "text-start", id: "t" }] } },
  ];
  const { cursor } = page.view;
  await data.acknowledged(data.send({ type: "run.events", runId: run.runId, events: opened }));
  await page.until("the message to begin", (view) => view.cursor > cursor);
  // Every event from here on is one of ours, so an event's number is its mark and what was there before.
  await page.until("the run to be running", (view) => view.runs[0]?.state === "running");
  const before = page.view.cursor;
  page.close();
  // The measurement looks at the viewers; what comes back to the host is read and dropped, as cheaply as possible.
  data.socket.removeAllListeners("message");
  data.socket.on("message", () => undefined);

  let sent = 0;
  const origin = plane.url.replace(/^http/, "ws");
  const name = objectName(plane.organizationId, sessionId);
  const say = async (events: RunEvent[]) => {
    const message = JSON.stringify({ type: "run.events", runId: run.runId, events });
    data.raw(`{"n":${++data.sent},"ack":${data.taken},"message":${message}}`);
  };
  return {
    objectName: name,
    get sent() {
      return sent;
    },
    send(count) {
      const events: string[] = [];
      for (let i = 0; i < count; i++) events.push(eventOf(mark(++sent)));
      const message = `{"type":"run.events","runId":"${run.runId}","events":[${events.join(",")}]}`;
      data.raw(`{"n":${++data.sent},"ack":${data.taken},"message":${message}}`);
    },
    join: (last) =>
      Viewer.open(`${origin}/api/sessions/${sessionId}/socket?cursor=${before + last}`, {
        last,
        headers: { authorization: `Bearer ${plane.serviceToken}` },
        acknowledges: true,
      }),
    evict: () => plane.evict("SessionObject", name),
    say,
    async finish() {
      await say([{ type: "run.finished", data: { outcome: "succeeded" } }]);
      for (;;) {
        const response = await plane.call(`/api/runs/${run.runId}/stream`, {
          headers: { accept: "text/event-stream" },
        });
        if ((await response.text()).includes('"from":')) return;
      }
    },
  };
}
