import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NewEvent, SessionEvent } from "#protocol/events.ts";
import { applyEvent, emptyView } from "#protocol/session-view.ts";
import { applyToTranscript, emptyTranscript } from "#protocol/transcript.ts";
import { clockRun, deployRun, permission, prompted } from "../support/portal-story.ts";
import { SessionPeer } from "../support/session-peer.ts";

const ID = "ses_00000000000000000001";
const RUN = "run_00000000000000000001-0000000001";
const RUN2 = "run_00000000000000000001-0000000002";
const REQUEST = "req_00000000000000000001-0000000001";

function number(events: readonly NewEvent[], after = 0): SessionEvent[] {
  return events.map((event, index) => {
    const seq = after + index + 1;
    return { v: 1, seq, at: 1_000_000 + seq, sessionId: ID, traceId: "trc_1", ...event } as SessionEvent;
  });
}
const created: NewEvent = {
  type: "session.created",
  data: { title: "Clock", provider: "claude-code", vmMode: "docker", createdBy: { id: "u", name: "Ada" } },
};
const LOG = number([created, ...clockRun(RUN), ...deployRun(RUN2), ...permission(RUN2, REQUEST)]);
const view = LOG.reduce(applyEvent, emptyView(ID));
const transcript = LOG.reduce(applyToTranscript, emptyTranscript);
const live = { type: "live", cursor: LOG.length, hostConnected: true } as const;

function connect(peer: SessionPeer, events = LOG): void {
  peer.store.start();
  peer.socket.open();
  if (events.length > 0) peer.socket.say({ type: "events", events: [...events] });
  peer.socket.say({ ...live, cursor: events.length });
}

describe("reading", () => {
  it("comes to the same state whatever the cursor was when the socket was lost", () => {
    for (let cut = 0; cut <= LOG.length; cut++) {
      const peer = new SessionPeer(ID);
      connect(peer, LOG.slice(0, cut));
      peer.socket.cut();
      peer.pass(10_000);
      expect(peer.sockets).toHaveLength(2);
      expect(peer.socket.cursor).toBe(cut);
      peer.socket.open();
      peer.socket.say({ type: "events", events: LOG.slice(peer.socket.cursor) }, live);
      const state = peer.store.getSnapshot();
      expect(state.view).toEqual(view);
      expect(state.transcript).toEqual(transcript);
    }
  });

  it("counts no event twice, however frames are cut and repeated", () => {
    const cuts = fc.array(fc.tuple(fc.nat(LOG.length), fc.nat(LOG.length)), { maxLength: 12 });
    fc.assert(
      fc.property(cuts, (pieces) => {
        const peer = new SessionPeer(ID);
        connect(peer, []);
        let sent = 0;
        for (const [back, forward] of pieces) {
          // Whatever a server repeats, it leaves no hole.
          const from = Math.min(sent, back);
          const to = Math.max(sent, forward);
          peer.socket.say({ type: "events", events: LOG.slice(from, to) });
          sent = to;
        }
        peer.socket.say({ type: "events", events: LOG });
        expect(peer.store.getSnapshot().view).toEqual(view);
        expect(peer.store.getSnapshot().transcript).toEqual(transcript);
      }),
      { numRuns: 60 },
    );
  });

  it("takes a snapshot as the whole truth and goes on from its cursor", () => {
    const at = LOG.length - 3;
    const half = LOG.slice(0, at);
    const peer = new SessionPeer(ID);
    peer.store.start();
    peer.socket.open();
    peer.socket.say(
      {
        type: "snapshot",
        view: half.reduce(applyEvent, emptyView(ID)),
        transcript: half.reduce(applyToTranscript, emptyTranscript),
        cursor: at,
        reason: "first_visit",
      },
      { type: "live", cursor: at, hostConnected: true },
      { type: "events", events: LOG.slice(at) },
    );
    expect(peer.store.getSnapshot().view).toEqual(view);
    expect(peer.store.getSnapshot().transcript).toEqual(transcript);
  });

  it("replaces deltas by the folded event that covers them", () => {
    const [first, ...rest] = LOG.filter((event) => event.type === "message.delta" && event.runId === RUN);
    if (first?.type !== "message.delta") throw new Error("the story has no delta");
    const chunks = [first, ...rest].flatMap((event) => (event.type === "message.delta" ? event.data.chunks : []));
    const last = rest.at(-1)?.seq ?? 0;
    const folded: SessionEvent = { ...first, seq: last, from: first.seq, data: { messageId: "msg_clock", chunks } };
    const peer = new SessionPeer(ID);
    connect(peer, LOG.slice(0, first.seq + 2));
    peer.socket.say({ type: "events", events: [folded] });
    const said = peer.store.getSnapshot().transcript.messages.find((message) => message.id === "msg_clock");
    expect(said?.parts).toEqual(LOG.slice(0, last).reduce(applyToTranscript, emptyTranscript).messages[1]?.parts);
  });

  it("acknowledges at most every second, and at once after 200 events", () => {
    const peer = new SessionPeer(ID);
    connect(peer, LOG.slice(0, 5));
    expect(peer.socket.received).toEqual([]);
    peer.pass(1_000);
    expect(peer.socket.received).toEqual([{ type: "ack", cursor: 5 }]);
    const many = number(
      Array.from({ length: 200 }, (): NewEvent => ({ type: "session.updated", data: { title: "again" } })),
      5,
    );
    peer.socket.say({ type: "events", events: many });
    expect(peer.socket.received.at(-1)).toEqual({ type: "ack", cursor: 205 });
  });
});

describe("sending", () => {
  it("shows a prompt at once, and as one with its event", () => {
    const peer = new SessionPeer(ID);
    connect(peer, LOG.slice(0, 1));
    const id = peer.store.prompt({ text: "Hello" });
    expect(peer.store.getSnapshot().outgoing.map((item) => item.state)).toEqual(["sending"]);
    expect(peer.socket.commands).toEqual([{ type: "prompt", id, prompt: { text: "Hello" } }]);
    peer.socket.say({ type: "answer", id, ok: true, runId: RUN });
    expect(peer.store.getSnapshot().outgoing.map((item) => item.state)).toEqual(["accepted"]);
    peer.socket.say({ type: "events", events: number([prompted(RUN, id, "Hello")], 1) });
    const { outgoing, transcript: said } = peer.store.getSnapshot();
    expect(outgoing).toEqual([]);
    expect(said.messages.map((message) => message.id)).toEqual([id]);
  });

  it("merges as well when the event is here before the answer", () => {
    const peer = new SessionPeer(ID);
    connect(peer, LOG.slice(0, 1));
    const id = peer.store.prompt({ text: "Hello" });
    peer.socket.say({ type: "events", events: number([prompted(RUN, id, "Hello")], 1) });
    peer.socket.say({ type: "answer", id, ok: true, runId: RUN });
    expect(peer.store.getSnapshot().outgoing).toEqual([]);
  });

  it("keeps a first prompt until there is a live socket, and says it once", () => {
    const peer = new SessionPeer(ID);
    const id = peer.store.prompt({ text: "First" });
    peer.store.start();
    peer.socket.open();
    expect(peer.socket.commands).toEqual([]);
    peer.socket.say({ ...live, cursor: 0 });
    expect(peer.socket.commands).toEqual([{ type: "prompt", id, prompt: { text: "First" } }]);
  });

  it("says unanswered commands again after a reconnect, with the same id", () => {
    const peer = new SessionPeer(ID);
    connect(peer);
    const stop = peer.store.stopRun(RUN2);
    const reply = peer.store.reply({ requestId: REQUEST, decision: "allow", scope: "once" });
    peer.socket.say({ type: "answer", id: stop, ok: true });
    peer.socket.cut();
    peer.pass(10_000);
    peer.socket.open();
    peer.socket.say(live);
    expect(peer.socket.commands.map((command) => "id" in command && command.id)).toEqual([reply]);
  });

  it("does not say a prompt again whose event came with the tail", () => {
    const peer = new SessionPeer(ID);
    connect(peer, LOG.slice(0, 1));
    const id = peer.store.prompt({ text: "Hello" });
    peer.socket.cut();
    peer.pass(10_000);
    peer.socket.open();
    peer.socket.say({ type: "events", events: number([prompted(RUN, id, "Hello")], 1) }, live);
    expect(peer.socket.commands).toEqual([]);
    expect(peer.store.getSnapshot().outgoing).toEqual([]);
  });

  it("finds prompts again after a reload", () => {
    const before = new SessionPeer(ID);
    before.store.prompt({ text: "Typed just before the reload" }, "cmd_kept");
    const after = new SessionPeer(ID, before.kept);
    connect(after, LOG.slice(0, 1));
    expect(after.socket.commands.map((command) => "id" in command && command.id)).toEqual(["cmd_kept"]);
  });

  it("keeps what was refused, with the reason, and says it again when asked", () => {
    const peer = new SessionPeer(ID);
    connect(peer, LOG.slice(0, 1));
    const id = peer.store.prompt({ text: "One too many" });
    peer.socket.say({ type: "answer", id, ok: false, reason: "queue_full", message: "50 prompts wait already" });
    expect(peer.store.getSnapshot().outgoing).toMatchObject([{ state: "refused", message: "50 prompts wait already" }]);
    peer.store.retry(id);
    expect(peer.socket.commands).toHaveLength(2);
    peer.store.discard(id);
    expect(peer.store.getSnapshot().outgoing).toEqual([]);
  });

  it("counts an answer as somebody else's when theirs was first", () => {
    const peer = new SessionPeer(ID);
    connect(peer);
    const id = peer.store.reply({ requestId: REQUEST, decision: "allow", scope: "once" });
    expect(peer.store.getSnapshot().seen[REQUEST]?.mine).toBe("allow");
    peer.socket.say({ type: "answer", id, ok: false, reason: "already_answered", message: "Grace was first" });
    expect(peer.store.getSnapshot().seen[REQUEST]?.mine).toBeUndefined();
    expect(peer.store.getSnapshot().seen[REQUEST]?.request.title).toContain("another machine");
  });
});

describe("the link", () => {
  it("waits longer each time, and says how often it has tried and since when", () => {
    const peer = new SessionPeer(ID);
    connect(peer, LOG.slice(0, 1));
    const lostAt = peer.now;
    peer.socket.cut();
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 8; attempt++) {
      const { link } = peer.store.getSnapshot();
      expect(link).toMatchObject({ phase: "waiting", attempt, downSince: lostAt });
      if (link.phase !== "waiting") throw new Error("not waiting");
      waits.push(link.retryAt - peer.now);
      peer.pass(link.retryAt - peer.now);
      peer.socket.cut();
    }
    expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });

  it("does not start its back-off anew for a socket that opens and closes at once", () => {
    const peer = new SessionPeer(ID);
    peer.store.start();
    peer.socket.cut();
    peer.pass(250);
    peer.socket.open();
    peer.socket.cut();
    expect(peer.store.getSnapshot().link).toMatchObject({ attempt: 2 });
  });

  it("is quiet again once it is live", () => {
    const peer = new SessionPeer(ID);
    connect(peer, LOG.slice(0, 1));
    peer.socket.cut();
    peer.store.retryNow();
    peer.socket.open();
    peer.socket.say({ ...live, cursor: 1 });
    expect(peer.store.getSnapshot().link).toEqual({ phase: "open", attempt: 0 });
  });

  it("does not come back after a close code that says so", () => {
    const peer = new SessionPeer(ID);
    connect(peer, LOG.slice(0, 1));
    peer.socket.cut(4410);
    peer.pass(60_000);
    expect(peer.sockets).toHaveLength(1);
    expect(peer.store.getSnapshot().link).toMatchObject({ phase: "closed", why: "gone" });
  });

  it("trusts no open socket after the network was away", () => {
    const peer = new SessionPeer(ID);
    connect(peer, LOG.slice(0, 4));
    peer.store.reconnect();
    expect(peer.sockets).toHaveLength(2);
    expect(peer.socket.cursor).toBe(4);
  });

  it("ignores what an old socket still says", () => {
    const peer = new SessionPeer(ID);
    connect(peer, LOG.slice(0, 4));
    const old = peer.socket;
    peer.store.reconnect();
    old.say({ type: "events", events: LOG });
    expect(peer.store.getSnapshot().view.cursor).toBe(4);
  });
});
