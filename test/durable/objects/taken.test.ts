/** A host's message that brought events is counted in the row of those events; it must be found there again. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { objectName } from "#protocol/ids.ts";
import type { RunStart } from "#protocol/messages.ts";
import type { TestControlPlane } from "../../support/control-plane.ts";
import { newSession, Page } from "../../support/live-session.ts";
import { ScriptedHost, type ScriptedLink } from "../../support/scripted-host.ts";
import { sharedControlPlane } from "../../support/shared-control-plane.ts";

let plane: TestControlPlane;
let host: ScriptedHost;

beforeAll(async () => {
  plane = await sharedControlPlane();
  const { joinToken = "" } = await plane.bootstrap("joinToken");
  host = await ScriptedHost.online(plane.url, joinToken, { slots: 10 });
});
afterAll(async () => {
  await plane?.dispose();
});

test("[P-12] [P-13] [P-17] what was taken is known after an eviction, whether it brought events or not", async () => {
  const sessionId = await newSession(plane);
  const page = await Page.open(plane, sessionId);
  await page.ask({ type: "prompt", prompt: { text: "work" } });
  const { assignment, data } = await host.takeAssignment();
  const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
  const say = (link: ScriptedLink, delta: string) =>
    link.send({
      type: "run.events",
      runId: run.runId,
      events: [{ type: "message.delta", data: { messageId: "m", chunks: [{ type: "text-delta", id: "t", delta }] } }],
    });
  const evicted = () =>
    plane.evict("SessionObject", objectName(plane.organizationId, sessionId), { webSockets: "hibernate" });
  const back = async (received: number) => {
    const link = await host.dial(assignment);
    return { link, taken: await link.handshake(host.token, { epoch: assignment.epoch, received }) };
  };

  await data.acknowledged(data.send({ type: "run.started", runId: run.runId }));
  await data.acknowledged(say(data, "one"));
  await evicted();
  // Goes on where it was, on the same socket; a gap or a repetition would show in what comes out.
  await data.acknowledged(say(data, "two"));
  // Said before, so it brings nothing: only the link's own row can know that it was taken.
  await data.acknowledged(data.send({ type: "run.accepted", runId: run.runId }));
  await evicted();
  const second = await back(data.taken);
  expect(second.taken).toBe(data.sent);

  await second.link.acknowledged(say(second.link, "three"));
  await evicted();
  const third = await back(data.taken);
  expect(third.taken).toBe(second.link.sent);
  // A repetition is dropped and acknowledged again.
  third.link.frame({ n: third.taken, ack: data.taken, message: { type: "run.started", runId: run.runId } });
  await third.link.acknowledged(third.taken);

  await page.until("the last event", (view) => view.cursor >= page.events.length);
  const said = page.events.flatMap((event) =>
    event.type === "message.delta" ? event.data.chunks.map((chunk) => (chunk as { delta: string }).delta) : [],
  );
  expect(said).toEqual(["one", "two", "three"]);
});
