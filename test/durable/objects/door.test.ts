/** Who may come in, and what becomes of frames that should not be: nothing stored, nobody else disturbed. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { objectName } from "#protocol/ids.ts";
import { LIMITS, TIMES } from "#protocol/limits.ts";
import type { Assignment, RunStart } from "#protocol/messages.ts";
import { mintHostToken } from "../../../durable/shell/host-token.ts";
import type { TestControlPlane } from "../../support/control-plane.ts";
import { newSession, Page } from "../../support/live-session.ts";
import { ScriptedHost, ScriptedLink } from "../../support/scripted-host.ts";
import { sharedControlPlane } from "../../support/shared-control-plane.ts";

let plane: TestControlPlane;
let host: ScriptedHost;

beforeAll(async () => {
  plane = await sharedControlPlane();
  host = await ScriptedHost.online(plane.url, await joinToken(), { slots: 100 });
});
afterAll(async () => plane?.dispose());

async function joinToken(): Promise<string> {
  return (await plane.bootstrap("joinToken")).joinToken ?? "";
}

/** Joined, but without a connection; never a taker of runs. */
async function joined(): Promise<ScriptedHost> {
  const other = new ScriptedHost(plane.url, { slots: 0 });
  await other.join(await joinToken());
  return other;
}

async function dialled(): Promise<{ link: ScriptedLink; other: ScriptedHost }> {
  const other = await joined();
  const { connect_url } = await other.ask();
  return { other, link: await new ScriptedLink(connect_url).open() };
}

/** A session whose run is under way on `host`. */
async function leased() {
  const sessionId = await newSession(plane);
  const page = await Page.open(plane, sessionId);
  await page.ask({ type: "prompt", prompt: { text: "work" } });
  const { assignment, data } = await host.takeAssignment();
  const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
  await page.until("the lease", (view) => view.runs[0]?.state === "assigned");
  return { sessionId, page, assignment, data, runId: run.runId };
}

const auth = (token: string, more: object = {}) => ({ type: "auth", token, protocol: 1, ...more });

describe("the control link", () => {
  test("[P-7] [R-1.2] a ticket works once; used, unknown and another host's are refused before the upgrade", async () => {
    const other = await joined();
    const { connect_url } = await other.ask();
    await (await new ScriptedLink(connect_url).open()).close();
    await expect(new ScriptedLink(connect_url).open()).rejects.toThrow("HTTP 403");
    const unknown = new URL(connect_url);
    unknown.searchParams.set("ticket", "x".repeat(32));
    await expect(new ScriptedLink(unknown.href).open()).rejects.toThrow("HTTP 403");
    const foreign = new URL((await other.ask()).connect_url);
    foreign.pathname = foreign.pathname.replace(other.id, host.id);
    await expect(new ScriptedLink(foreign.href).open()).rejects.toThrow("HTTP 403");
  });

  test("[P-7] a ticket that five dial with at the same moment opens for one of them", async () => {
    const other = await joined();
    for (let round = 0; round < 5; round++) {
      const { connect_url } = await other.ask();
      const dials = await Promise.allSettled(Array.from({ length: 5 }, () => new ScriptedLink(connect_url).open()));
      expect(dials.map(({ status }) => status).sort()).toEqual([
        "fulfilled",
        ...Array.from({ length: 4 }, () => "rejected"),
      ]);
    }
  });

  test("[P-7] [R-1.3] a reconnection needs no ticket: the token alone counts", async () => {
    const other = await joined();
    const { reconnect_url, token } = await other.ask();
    const link = await new ScriptedLink(reconnect_url).open();
    expect(await link.handshake(token)).toBe(0);
  });

  test.each([
    ["a message before auth", { n: 1, ack: 0, message: { type: "token.renew" } }, 4400],
    ["resume before auth", { type: "resume", received: 0 }, 4400],
    ["an unknown type", { type: "hello" }, 4400],
  ])("[P-3] [R-1.4] %s ends the socket and has no effect", async (_name, frame, code) => {
    const { link, other } = await dialled();
    link.frame(frame);
    expect((await link.closed).code).toBe(code);
    const { hosts } = (await (await plane.call("/api/hosts")).json()) as { hosts: { id: string; status: string }[] };
    expect(hosts.find((each) => each.id === other.id)?.status).toBe("pending");
  });

  test("[P-8] a protocol that is not spoken here is told so for good", async () => {
    const { link, other } = await dialled();
    link.frame({ ...auth(other.token), protocol: 99 });
    expect((await link.closed).code).toBe(4426);
  });

  test("[P-5] forged, expired and foreign-signed tokens are refused", async () => {
    const other = await joined();
    const organizationId = plane.organizationId;
    const claims = { hostId: other.id, organizationId, pool: "default" };
    const minute = 60_000;
    const expired = await mintHostToken(plane.secrets.SIGNING_KEY, { ...claims, nowMs: Date.now() - 60 * minute });
    const forged = await mintHostToken("another-signing-key-another-signing-key", { ...claims, nowMs: Date.now() });
    const none = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${expired.token.split(".")[1]}.`;
    for (const token of [expired.token, forged.token, none, "nonsense"]) {
      const { reconnect_url } = await other.ask();
      const link = await new ScriptedLink(reconnect_url).open();
      link.frame(auth(token));
      expect((await link.closed).code).toBe(4401);
    }
  });

  test("[P-6] a valid token of another host does not open this host's link", async () => {
    const { link } = await dialled();
    link.frame(auth(host.token));
    expect((await link.closed).code).toBe(4403);
  });

  test("[P-14] acknowledging what was never sent ends a control link, too", async () => {
    const other = await joined();
    const link = await other.connect();
    link.frame({ ack: 99 });
    expect((await link.closed).code).toBe(4400);
  });

  test("[P-9] a newer connection of the same host takes over", async () => {
    const other = await joined();
    const older = await other.connect();
    const newer = await other.connect();
    expect((await older.closed).code).toBe(4409);
    expect(newer.socket.readyState).toBe(newer.socket.OPEN);
  });

  test("[P-18] [R-1.5] a token is renewed over the link and the new one authenticates", async () => {
    const other = await joined();
    const link = await other.connect();
    link.send({ type: "token.renew" });
    const renewed = await link.message<{ type: string; token: string; expiresAt: number }>("token");
    expect(renewed.expiresAt).toBeGreaterThan(Date.now());
    const { reconnect_url } = await other.ask();
    expect(
      await (await new ScriptedLink(reconnect_url).open()).handshake(renewed.token, { received: link.taken }),
    ).toBe(2);
  });

  test("[P-18] a token that expires under a link breaks nothing; it does not open another one", async () => {
    const other = await joined();
    const claims = { hostId: other.id, organizationId: plane.organizationId, pool: "default" };
    const nowMs = Date.now() - TIMES.tokenMs + 3_000;
    const { token, expiresAt } = await mintHostToken(plane.secrets.SIGNING_KEY, { ...claims, nowMs });
    const link = await new ScriptedLink((await other.ask()).connect_url).open();
    await link.handshake(token);
    await expect.poll(() => Date.now(), { timeout: 30_000 }).toBeGreaterThan(expiresAt + 1_000);
    const late = await new ScriptedLink((await other.ask()).reconnect_url).open();
    late.frame(auth(token));
    expect((await late.closed).code).toBe(4401);
    link.send({ type: "token.renew" });
    expect((await link.message<{ type: string; expiresAt: number }>("token")).expiresAt).toBeGreaterThan(Date.now());
  });

  test("[P-2] ping is answered", async () => {
    const other = await joined();
    const link = await other.connect();
    const pong = new Promise((resolve) =>
      link.socket.on("message", (data) => data.toString() === "pong" && resolve(true)),
    );
    link.raw("ping");
    expect(await pong).toBe(true);
  });

  test("[P-2] ping is answered for an object that is put away, and does not wake it", async () => {
    const { sessionId, data } = await leased();
    const evict = () => plane.evict("SessionObject", objectName(plane.organizationId, sessionId));
    const wokenByPing = async () => {
      await evict().catch(() => undefined);
      const pong = new Promise((resolve) => data.socket.once("message", (text) => resolve(text.toString())));
      data.raw("ping");
      expect(await pong).toBe("pong");
      return await evict().then(
        () => "woken",
        (error: Error) => error.message,
      );
    };
    // An alarm of its own may wake it in the same moment, but not every time; a ping that did would.
    await expect.poll(wokenByPing).toContain("not currently running");
  });
});

describe("the data link", () => {
  test("[P-10] only the host with the lease, under its epoch, comes in; others learn the current epoch", async () => {
    const { assignment } = await leased();
    const stranger = await ScriptedHost.online(plane.url, await joinToken(), { slots: 0 });
    for (const [token, epoch] of [
      [stranger.token, assignment.epoch],
      [host.token, assignment.epoch + 7],
      [host.token, 0],
    ] as const) {
      const link = await host.dial(assignment);
      link.frame(auth(token, epoch ? { epoch } : {}));
      const closed = await link.closed;
      expect(closed.code).toBe(4412);
      expect(closed.reason).toContain(`epoch is ${assignment.epoch}`);
    }
  });

  test("[P-11] a host that is faster than the news of its lease is let in", async () => {
    const sessionId = await newSession(plane);
    const page = await Page.open(plane, sessionId);
    await page.ask({ type: "prompt", prompt: { text: "quick" } });
    const { assignment } = await host.control.message<{ type: string; assignment: Assignment }>("assign");
    // Not even accepted on the control link: dialling the session is accepting.
    const data = await host.dial(assignment);
    await data.handshake(host.token, { epoch: assignment.epoch });
    await data.message("run.start");
    await page.until("the lease", (view) => view.epoch === assignment.epoch);
  });

  test("[P-13] a gap ends the link and nothing of it is taken", async () => {
    const { data, page, runId } = await leased();
    await data.acknowledged(data.send({ type: "run.accepted", runId }));
    await page.until("the run to prepare", (view) => view.runs[0]?.state === "preparing");
    const before = page.view.cursor;
    data.frame({ n: 7, ack: 1, message: { type: "run.started", runId } });
    expect((await data.closed).code).toBe(4430);
    expect(page.view.cursor).toBe(before);
  });

  test("[P-14] acknowledging what was never sent ends the link", async () => {
    const { data } = await leased();
    data.frame({ ack: 99 });
    expect((await data.closed).code).toBe(4400);
  });

  test("[P-15] [R-1.8] a message that is not understood is skipped, and the next one is handled", async () => {
    const { data, page, runId } = await leased();
    data.frame({ n: 1, ack: 1, message: { type: "from.the.future", x: 1 } });
    expect(await data.next((frame) => frame.type === "error")).toMatchObject({ reason: "not_understood" });
    data.sent = 1;
    await data.acknowledged(data.send({ type: "run.accepted", runId }));
    await page.until("the run to prepare", (view) => view.runs[0]?.state === "preparing");
  });

  test.each([
    ["garbage", "{nonsense", 4400],
    ["binary", Buffer.from([0, 255, 254]), 4400],
    ["too deep", `${"[".repeat(5_000)}${"]".repeat(5_000)}`, 4400],
    ["without its number", '{"ack":0,"message":{"type":"worker.status","state":"stopped"}}', 4400],
    ["numbered with a string", '{"n":"1","ack":0,"message":{"type":"worker.status","state":"stopped"}}', 4400],
    ["numbered 0", '{"n":0,"ack":0,"message":{"type":"worker.status","state":"stopped"}}', 4400],
    ["numbered beyond all numbers", '{"n":1e308,"ack":0,"message":{"type":"worker.status","state":"stopped"}}', 4400],
    ["numbered far ahead", '{"n":9007199254740991,"ack":0,"message":{"type":"worker.status","state":"stopped"}}', 4430],
    ["acknowledging less than nothing", '{"ack":-1}', 4400],
    ["too large", JSON.stringify({ n: 1, ack: 0, message: "x".repeat(LIMITS.frameBytes) }), 4413],
  ])(
    "[P-1] [R-1.8] a frame that is %s closes its own link; other sessions go on, and the host resumes",
    async (_name, frame, code) => {
      const { data, page, runId, assignment } = await leased();
      const other = await leased();
      data.raw(frame);
      expect((await data.closed).code).toBe(code);
      await other.data.acknowledged(other.data.send({ type: "run.accepted", runId: other.runId }));
      const again = await host.dial(assignment);
      expect(await again.handshake(host.token, { epoch: assignment.epoch, received: 1 })).toBe(0);
      await again.acknowledged(again.send({ type: "run.accepted", runId }));
      await page.until("the run to prepare", (view) => view.runs[0]?.state === "preparing");
    },
  );

  test("[P-20] the close of a link, clean or not, ends neither run nor lease", async () => {
    const { data, page, runId, assignment } = await leased();
    await data.acknowledged(data.send({ type: "run.accepted", runId }));
    await page.until("the run to prepare", (view) => view.runs[0]?.state === "preparing");
    await data.close();
    await page.when((each) => !each.hostConnected);
    expect(page.view.runs[0]?.state).toBe("preparing");
    const again = await host.dial(assignment);
    await again.handshake(host.token, { epoch: assignment.epoch, received: 1 });
    await page.when((each) => each.hostConnected);
    expect(page.view.epoch).toBe(assignment.epoch);
  });
});

describe("a dial that introduces itself", () => {
  test("[P-40] it is in at once, has what waits for it, and its words count", async () => {
    const { assignment, data, page, runId } = await leased();
    await data.acknowledged(data.send({ type: "run.accepted", runId }));
    data.socket.terminate();
    await page.ask({ type: "stop", runId });
    const back = await host.dialIn(assignment, data.taken);
    expect(back.introduced).toBe(true);
    await back.message("run.stop");
    expect(back.frames.slice(0, 2).map(({ type }) => type)).toEqual(["welcome", "resumed"]);
    back.send({ type: "run.events", runId, events: [{ type: "run.finished", data: { outcome: "cancelled" } }] });
    await page.until("the end", (view) => view.runs[0]?.state === "finished");
  });

  test("[P-40] [P-5] [P-10] [P-3] with what would be refused it is let dial, and has to say it in frames", async () => {
    const { assignment } = await leased();
    const url = new URL(assignment.dataUrl, plane.url.replace(/^http/, "ws")).href;
    const said = { ...auth(host.token), epoch: assignment.epoch, received: 0 };
    for (const header of [
      "{",
      "{}",
      JSON.stringify({ ...said, token: "x" }),
      JSON.stringify({ ...said, protocol: 0 }),
      JSON.stringify({ ...said, epoch: assignment.epoch + 1 }),
    ]) {
      const link = await new ScriptedLink(url, { "gantry-auth": header }).open();
      expect(link.introduced).toBe(false);
      link.send({ type: "run.started", runId: "run_x" });
      expect(await link.closed).toMatchObject({ code: 4400 });
    }
    const ahead = await new ScriptedLink(url, { "gantry-auth": JSON.stringify({ ...said, received: 99 }) }).open();
    expect(await ahead.closed).toMatchObject({ code: 4400 });
  });
});
