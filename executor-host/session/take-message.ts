/**
 * A message on the data link, inside the transaction that takes it: it changes what is on disk, and nothing else. What
 * follows from that is the session's loop's to find out.
 */
import { ProtocolViolation } from "#protocol/close-codes.ts";
import { type FromHostData, type RunStart, type ToHostData, toHostData } from "#protocol/messages.ts";
import type { SyncChoice } from "#protocol/vocabulary.ts";
import type { Records } from "./records.ts";

export type TakeNeeds = {
  sessionId: string;
  records: Records;
  /** After the transaction. */
  afterCommit(effect: () => void): void;
  say(message: FromHostData): void;
  config(update: Record<string, unknown>): void;
  requestSync(): void;
  decideSync(choice: SyncChoice): void;
  /** This host wants to be rid of the session, whatever the session wants. */
  leaving(): boolean;
};

/** @throws ProtocolViolation when it is not understood */
export function takeMessage(message: unknown, needs: TakeNeeds): void {
  const parsed = toHostData.safeParse(message);
  if (!parsed.success) throw new ProtocolViolation("protocol_violation", parsed.error.message);
  apply(parsed.data, needs);
}

function apply(message: ToHostData, needs: TakeNeeds): void {
  const { records, sessionId } = needs;
  switch (message.type) {
    case "run.start":
      accept(message.run, needs);
      break;
    case "run.stop":
      records.wantRunStop(message.runId, message.reason ?? "stopped");
      break;
    case "run.reply":
      if (records.run(message.runId)) records.addReply(sessionId, message.runId, message.reply);
      break;
    case "worker.stop":
      for (const { run } of records.runs(sessionId)) records.wantRunStop(run.runId, message.reason);
      records.wantStop(sessionId, message.reason);
      break;
    case "sync.now":
      needs.afterCommit(() => needs.requestSync());
      break;
    case "sync.decide":
      needs.afterCommit(() => needs.decideSync(message.choice));
      break;
    case "config_update":
      needs.afterCommit(() => needs.config(message.config));
      break;
    default:
      message satisfies never;
  }
}

function accept(run: RunStart, { records, sessionId, leaving, say }: TakeNeeds): void {
  // Crossed our `stopped` on the way: the session hears that the worker is gone and places the run anew.
  if (records.lease(sessionId)?.phase !== "held") return;
  if (!records.acceptRun(run)) return;
  // Asked for after the stop: the worker is wanted again.
  if (!leaving()) records.unwantStop(sessionId);
  say({ type: "run.accepted", runId: run.runId });
}
