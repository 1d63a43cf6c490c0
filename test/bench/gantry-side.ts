/** The real control plane with everything on: sign-in, tokens, validation, numbering, acknowledgements, the D1 index. */
import { objectName } from "#protocol/ids.ts";
import type { Built } from "../../executor-host/local/build.ts";
import { startTestControlPlane, type TestControlPlane } from "../support/control-plane.ts";
import { newSession, Page } from "../support/live-session.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import { type BenchSession, eventOf, type Side } from "./side.ts";
import { mark, Viewer } from "./viewer.ts";

export type GantrySession = BenchSession & { objectName: string };
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
  };
}
