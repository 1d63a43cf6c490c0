/** A credential that became worthless has no open sockets, and a host of the version before works. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import { CLOSE_CODES } from "#protocol/close-codes.ts";
import type { Assignment, RunStart } from "#protocol/messages.ts";
import { commonVersion, OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION } from "#protocol/version.ts";
import { startTestControlPlane, type TestControlPlane } from "../../support/control-plane.ts";
import { newSession, Page } from "../../support/live-session.ts";
import { type Closed, ScriptedHost, ScriptedLink, within } from "../../support/scripted-host.ts";

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await startTestControlPlane();
});
afterAll(async () => plane?.dispose());

const joinToken = async () => (await plane.bootstrap("joinToken")).joinToken ?? "";

describe("revocation", () => {
  /** A page's socket with these headers, once it is open; what it was closed with. */
  async function socket(
    sessionId: string,
    headers: Record<string, string>,
  ): Promise<{ ws: WebSocket; closed: Promise<Closed> }> {
    const options: ClientOptions & { closeTimeout: number } = { headers, closeTimeout: 500 };
    const ws = new WebSocket(`${plane.url.replace(/^http/, "ws")}/api/sessions/${sessionId}/socket`, options);
    const closed = new Promise<Closed>((resolve) =>
      ws.once("close", (code, reason) => resolve({ code, reason: `${reason}` })),
    );
    await new Promise((resolve, reject) => ws.once("open", resolve).once("error", reject));
    return { ws, closed };
  }
  async function token(): Promise<{ id: string; token: string }> {
    const made = await plane.call("/api/service-tokens", { method: "POST", body: { name: "t", role: "member" } });
    return (await made.json()) as { id: string; token: string };
  }
  const bearer = (value: string) => ({ authorization: `Bearer ${value}` });

  test("[P-38] revoking a service token closes its pages in every session with 4403, and nobody else's", async () => {
    const sessions = [await newSession(plane), await newSession(plane)];
    const revoked = await token();
    const other = await token();
    const gone = await Promise.all(sessions.map((id) => socket(id, bearer(revoked.token))));
    const stays = await socket(sessions[0] ?? "", bearer(other.token));
    const own = await Page.open(plane, sessions[0] ?? "");
    // Hibernated sockets are closed, too.
    await plane.evict("SessionObject", `${plane.organizationId}/${sessions[1]}`);
    expect((await plane.call(`/api/service-tokens/${revoked.id}`, { method: "DELETE" })).status).toBe(200);
    for (const { closed } of gone) {
      const { code } = await within(closed, () => "the close of a revoked token's page");
      expect(code).toBe(CLOSE_CODES.forbidden.code);
    }
    expect((await own.ask({ type: "rename", title: "still here" })).ok).toBe(true);
    expect(stays.ws.readyState).toBe(WebSocket.OPEN);
    await expect(socket(sessions[0] ?? "", bearer(revoked.token))).rejects.toThrow("401");
    stays.ws.close();
    own.close();
  });

  test("[P-38] signing out closes the pages of that browser, not those of another", async () => {
    const sessionId = await newSession(plane);
    const cookies = await Promise.all([cookie(), cookie()]);
    const origin = { origin: plane.url };
    const [leaving, staying] = await Promise.all(cookies.map((each) => socket(sessionId, { cookie: each, ...origin })));
    const out = await fetch(`${plane.url}/api/sign-out`, {
      method: "POST",
      headers: { cookie: cookies[0] ?? "", ...origin },
    });
    expect(out.status).toBe(200);
    expect((await within(leaving!.closed, () => "the close after signing out")).code).toBe(4403);
    expect(staying!.ws.readyState).toBe(WebSocket.OPEN);
    staying!.ws.close();
  });

  test("[P-38] revoking a service token breaks its event and chat streams off, and nobody else's; coming back is refused", async () => {
    const revoked = await token();
    const other = await token();
    const body = { messages: [{ id: "m1", role: "user", parts: [{ type: "text", text: "work" }] }], id: "streams" };
    const post = (who: string, path: string, json: object) =>
      fetch(plane.url + path, {
        method: "POST",
        headers: { ...bearer(who), "content-type": "application/json", accept: "text/event-stream" },
        body: JSON.stringify(json),
      });
    const started = await post(revoked.token, "/api/runs/start", { prompt: "work" });
    const sessionId = started.headers.get("x-session-id") ?? "";
    const runId = started.headers.get("x-run-id") ?? "";
    const get = (who: string, path: string) => fetch(plane.url + path, { headers: bearer(who) });
    const chat = await post(revoked.token, "/api/chat", body);
    const theirs = [
      started,
      chat,
      ...(await Promise.all(
        [`/api/sessions/${sessionId}/stream`, `/api/runs/${runId}/stream`, `/api/chat/${sessionId}/stream`].map(
          (path) => get(revoked.token, path),
        ),
      )),
    ].map(reading);
    const stays = reading(await get(other.token, `/api/sessions/${sessionId}/stream`));
    for (const each of [...theirs, stays]) await within(each.began, () => "the first bytes of a stream");
    expect((await plane.call(`/api/service-tokens/${revoked.id}`, { method: "DELETE" })).status).toBe(200);
    for (const { ended } of theirs) await within(ended, () => "the end of a revoked token's stream");
    expect((await get(revoked.token, `/api/sessions/${sessionId}/stream`)).status).toBe(401);
    for (const id of [chat.headers.get("x-run-id"), runId])
      expect((await plane.call(`/api/runs/${id}/stop`, { method: "POST", body: {} })).status).toBe(202);
    await within(stays.saw("run.finished"), () => "what happens afterwards, on another's stream");
    for (const { text } of theirs) expect(text()).not.toContain("run.finished");
    stays.leave();
  });

  /** Reads along until the stream ends or breaks. */
  function reading(response: Response) {
    expect(response.status).toBe(200);
    let text = "";
    let look = () => {};
    const saw = (what: string) =>
      new Promise<void>((resolve) => {
        look = () => text.includes(what) && resolve();
        look();
      });
    const began = saw("\n\n");
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const decoder = new TextDecoder();
    const ended = (async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        text += decoder.decode(value, { stream: true });
        look();
      }
    })().catch(() => undefined);
    return { began, ended, saw, text: () => text, leave: () => void reader.cancel() };
  }

  async function cookie(): Promise<string> {
    const { signInUrl } = await plane.bootstrap("signIn");
    const response = await fetch(`${plane.url}/api/sign-in`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token: new URL(signInUrl).searchParams.get("token") }),
    });
    return (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  }

  test("[P-38] [F-14] removing a host closes both of its links", async () => {
    const host = await ScriptedHost.online(plane.url, await joinToken());
    const sessionId = await newSession(plane);
    const page = await Page.open(plane, sessionId);
    await page.ask({ type: "prompt", prompt: { text: "work" } });
    const { data } = await host.takeAssignment();
    expect((await plane.call(`/api/hosts/${host.id}`, { method: "DELETE" })).status).toBe(200);
    expect((await within(host.control.closed, () => "the control link's close")).code).toBe(4410);
    expect((await within(data.closed, () => "the data link's close")).code).toBe(4412);
    page.close();
    // Its run waits for another attempt, which is not for the next test's host.
    expect((await plane.call(`/api/sessions/${sessionId}`, { method: "DELETE" })).ok).toBe(true);
  });
});

describe("version skew", () => {
  test("[P-8] the newest version that both speak", () => {
    expect([PROTOCOL_VERSION, OLDEST_PROTOCOL_VERSION]).toEqual([2, 1]);
    expect(commonVersion(1)).toBe(1);
    expect(commonVersion(2, 1)).toBe(2);
    expect(commonVersion(3, 2)).toBe(2);
    expect(commonVersion(3)).toBeUndefined();
    expect(commonVersion(0)).toBeUndefined();
    expect(commonVersion(9, 3)).toBeUndefined();
  });

  test("[P-8] [P-15] a host of the version before runs a prompt; what it does not know is not its end, nor the other way round", async () => {
    const host = new ScriptedHost(plane.url);
    await host.join(await joinToken());
    const { connect_url, token } = await host.ask();
    const control = await new ScriptedLink(connect_url).open();
    control.frame({ type: "auth", token, protocol: PROTOCOL_VERSION - 1 });
    expect(await control.next((frame) => frame.type === "welcome")).toMatchObject({ protocol: PROTOCOL_VERSION - 1 });
    control.frame({ type: "resume", received: 0 });
    await control.next((frame) => frame.type === "resumed");
    control.keepPinging();
    // A field and a message of a version to come.
    const facts = control.send({ type: "facts", facts: { ...host.facts(), moons: 2 }, leases: [], tide: 1 } as never);
    await control.acknowledged(facts);
    const unknown = control.send({ type: "weather", sky: "blue" } as never);
    expect(await control.next((frame) => frame.type === "error")).toMatchObject({ reason: "not_understood" });
    await control.acknowledged(unknown);

    const page = await Page.open(plane, await newSession(plane));
    await page.ask({ type: "prompt", prompt: { text: "work" } });
    const { assignment } = await control.message<{ type: string; assignment: Assignment }>("assign");
    const data = await host.dial(assignment);
    data.frame({ type: "auth", token, protocol: PROTOCOL_VERSION - 1, epoch: assignment.epoch });
    await data.next((frame) => frame.type === "welcome");
    data.frame({ type: "resume", received: 0 });
    await data.next((frame) => frame.type === "resumed");
    const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
    data.send({ type: "run.started", runId: run.runId });
    data.send({ type: "run.weather", runId: run.runId } as never);
    data.send({
      type: "run.events",
      runId: run.runId,
      events: [{ type: "run.finished", data: { outcome: "succeeded" } }],
    });
    await page.until("the end of the run", (view) => view.runs[0]?.state === "finished");
    page.close();
    await control.close();
  });
});
