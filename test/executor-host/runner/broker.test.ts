import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { type HumanLoopReply, humanLoopReplySchema, type RunEvent, runEventSchema } from "#protocol/events.ts";
import { sessionOf } from "#protocol/ids.ts";
import { Broker } from "../../../executor-host/runner/broker.ts";
import { Grants } from "../../../executor-host/runner/grants.ts";
import { temporaryFolder } from "./support/temporary.ts";

const sessionId = "ses_0123456789abcdefghij";

async function newBroker(file?: string) {
  const grantsFile = file ?? path.join(await temporaryFolder(), "grants.json");
  const events: RunEvent[] = [];
  const broker = new Broker(sessionId, new Grants(grantsFile), (event) => events.push(runEventSchema.parse(event)));
  const asked = () =>
    events.flatMap((event) => (event.type === "human_loop.requested" ? [event.data.requestId] : [])).at(-1) ?? "";
  const reply = (answer: Partial<HumanLoopReply>) =>
    broker.reply(humanLoopReplySchema.parse({ requestId: asked(), decision: "allow", ...answer }));
  return { broker, events, asked, reply, grantsFile };
}

test("asking says waiting, then the request; the reply says running; the session records the person's reply", async () => {
  const { broker, events, asked, reply } = await newBroker();
  const answer = broker.ask({ kind: "permission", title: "Deploy?", rule: "deploy" });
  expect(sessionOf(asked())).toBe(sessionId);
  expect(broker.waiting).toBe(true);
  expect(reply({})).toEqual({ ok: true });
  expect(await answer).toEqual({ decision: "allow", by: "person" });
  expect(events.map(({ type, data }) => ("state" in data ? data.state : type))).toEqual([
    "waiting",
    "human_loop.requested",
    "running",
  ]);
});

test("a request is answered once", async () => {
  const { broker, reply } = await newBroker();
  const answer = broker.ask({ kind: "permission", title: "Deploy?" });
  reply({ decision: "deny", reason: "no" });
  expect(reply({ decision: "allow" })).toMatchObject({ status: 409, reason: "already_answered" });
  expect(await answer).toEqual({ decision: "deny", reason: "no" });
});

test("a reply that does not fit leaves the request open", async () => {
  const { broker, asked, reply } = await newBroker();
  expect(reply({ requestId: "req_x" })).toMatchObject({ status: 404 });
  void broker.ask({ kind: "question", title: "Which?" });
  expect(reply({ requestId: asked(), decision: "allow" })).toMatchObject({ status: 422 });
  expect(reply({ decision: "answer", answers: [] })).toMatchObject({ status: 422 });
  expect(reply({ decision: "answer", answers: ["mine"] })).toEqual({ ok: true });
  void broker.ask({ kind: "permission", title: "Go?" });
  expect(reply({ decision: "answer", answers: ["yes"] })).toMatchObject({ status: 422 });
});

test("running is said when the last of several requests is answered", async () => {
  const { broker, events, reply } = await newBroker();
  void broker.ask({ kind: "question", title: "One?" });
  void broker.ask({ kind: "question", title: "Two?" });
  reply({ decision: "answer", answers: ["2"] });
  expect(events.at(-1)?.type).toBe("human_loop.requested");
  expect(broker.waiting).toBe(true);
});

test("a grant for the session covers exactly its rule, and a later runner knows it", async () => {
  const first = await newBroker();
  void first.broker.ask({ kind: "permission", title: "Test?", rule: "Bash(npm test)" });
  first.reply({ scope: "session" });
  const later = await newBroker(first.grantsFile);
  const granted = await later.broker.ask({ kind: "permission", title: "Test?", rule: "Bash(npm test)" });
  expect(granted).toEqual({ decision: "allow", by: "grant" });
  expect(later.events).toEqual([]);
  void later.broker.ask({ kind: "permission", title: "Test?", rule: "Bash(npm test --all)" });
  expect(later.events).toHaveLength(2);
  expect(JSON.parse(readFileSync(first.grantsFile, "utf8"))).toEqual(["Bash(npm test)"]);
});

test("a permission once, or a refusal for the session, grants nothing", async () => {
  const { broker, events, reply } = await newBroker();
  for (const answer of [{ scope: "once" }, { decision: "deny", scope: "session" }] as const) {
    void broker.ask({ kind: "permission", title: "Test?", rule: "r" });
    reply(answer);
  }
  void broker.ask({ kind: "permission", title: "Test?", rule: "r" });
  expect(events.filter(({ type }) => type === "human_loop.requested")).toHaveLength(3);
});

test("the end of the run resolves what waits, says so, and nothing can be asked any more", async () => {
  const { broker, events, reply } = await newBroker();
  const answer = broker.ask({ kind: "permission", title: "Deploy?" });
  broker.closeAll("expired");
  broker.closeAll("cancelled");
  expect(await answer).toEqual({ decision: "expired" });
  expect(events.slice(2).map(({ type }) => type)).toEqual(["human_loop.resolved"]);
  expect(reply({})).toMatchObject({ status: 409 });
  expect(await broker.ask({ kind: "question", title: "More?" })).toEqual({ decision: "expired" });
});

test("what is asked fits the wire whatever a provider puts in; a rule too long to be shown whole is not offered", async () => {
  const { broker, events } = await newBroker();
  const huge = "x".repeat(300_000);
  void broker.ask({ kind: "permission", title: huge, detail: { command: huge }, rule: huge });
  const request = events.find((event) => event.type === "human_loop.requested")!.data as {
    rule?: string;
    detail: object;
  };
  expect(request.rule).toBeUndefined();
  expect(JSON.stringify(request.detail)).toContain("left out here");
});

test("[S-41] what was answered before this part of the run is not asked again, and counts once", async () => {
  const events: RunEvent[] = [];
  const grants = new Grants(path.join(await temporaryFolder(), "grants.json"));
  const broker = new Broker(
    sessionId,
    grants,
    (event) => events.push(event),
    () => {},
    [
      { kind: "permission", title: "Deploy?", rule: "Bash(deploy)", decision: "allow", scope: "once" },
      { kind: "permission", title: "Remove?", decision: "deny", scope: "once", reason: "keep it" },
      { kind: "question", title: "Which?", decision: "answer", scope: "once", answers: ["blue"] },
      { kind: "permission", title: "Read?", rule: "Read(*)", decision: "allow", scope: "session" },
    ],
  );
  // The rule says what is the same, whatever the title says.
  expect(await broker.ask({ kind: "permission", title: "Deploy, please?", rule: "Bash(deploy)" })).toMatchObject({
    decision: "allow",
  });
  expect(await broker.ask({ kind: "permission", title: "Remove?" })).toEqual({ decision: "deny", reason: "keep it" });
  expect(await broker.ask({ kind: "question", title: "Which?" })).toEqual({ decision: "answer", answers: ["blue"] });
  for (const _ of [1, 2])
    expect(await broker.ask({ kind: "permission", title: "Read?", rule: "Read(*)" })).toMatchObject({ by: "grant" });
  expect(events).toEqual([]);
  void broker.ask({ kind: "permission", title: "Deploy?", rule: "Bash(deploy)" });
  void broker.ask({ kind: "permission", title: "Deploy?", rule: "Bash(other)" });
  void broker.ask({ kind: "question", title: "Which?" });
  expect(events.filter(({ type }) => type === "human_loop.requested")).toHaveLength(3);
});
