/** How a run ended, and what a person can do about it. */
import type { FailureReason, Outcome, RunState } from "#protocol/vocabulary.ts";

export const OUTCOME_TEXT: Readonly<Record<Outcome, string>> = {
  succeeded: "Worked for",
  failed: "Failed after",
  cancelled: "Stopped after",
  timed_out: "Timed out after",
};

export const STATE_TEXT: Readonly<Record<RunState, string>> = {
  queued: "Waiting for a host",
  assigned: "Assigned to a host",
  preparing: "Preparing the workspace",
  running: "Working",
  waiting: "Waiting for you",
  cancelling: "Stopping",
  finished: "Finished",
};

export const REASON_TEXT: Readonly<Record<FailureReason, { what: string; fix: string }>> = {
  auth_missing: {
    what: "The agent is not signed in on this host.",
    fix: "Add a key for this provider, or sign the agent in on the host; the Hosts page shows the command.",
  },
  auth_rejected: {
    what: "The provider refused the key.",
    fix: "The key may be revoked, expired or for another account. Replace it and send the prompt again.",
  },
  rate_limited: {
    what: "The provider's rate limit is used up.",
    fix: "Wait a little, or choose another provider or model, then send the prompt again.",
  },
  overloaded: {
    what: "The provider is overloaded right now.",
    fix: "Nothing is wrong on your side. Send the prompt again in a minute.",
  },
  model_not_found: {
    what: "The provider does not know this model.",
    fix: "Correct the model's name next to the composer, or leave it empty.",
  },
  context_exceeded: {
    what: "The conversation is longer than the model can read.",
    fix: "Start a new session for the next piece of work, or ask for a smaller step.",
  },
  provider_no_output: {
    what: "The agent ended without saying anything.",
    fix: "Send the prompt again; if it repeats, run gantry host doctor on the host.",
  },
  cli_missing: {
    what: "The agent's program is not installed on the host.",
    fix: "The Hosts page shows the command that installs it there. Then send the prompt again.",
  },
  timeout: { what: "The run took longer than it may.", fix: "Ask for a smaller step, or allow more time for the run." },
  host_lost: {
    what: "The host went away during the run and did not come back in time.",
    fix: "Work may have been done that is not shown here. Look at the files, then decide whether to send the prompt again.",
  },
  container_failed: {
    what: "The worker's container failed.",
    fix: "Run gantry host doctor on the host; the words below say what Docker answered.",
  },
  workspace_failed: {
    what: "The workspace could not be prepared or saved.",
    fix: "See the words below; the last saved snapshot is kept.",
  },
  cancelled: { what: "Somebody stopped the run.", fix: "" },
  internal: {
    what: "Gantry itself failed.",
    fix: "Send the prompt again. If it repeats, please report it with the run's id.",
  },
};
