/** A recorded stretch of work, as the events of a session: what the portal's tests and pictures are made of. */
import type { UIMessageChunk } from "ai";
import type { NewEvent, Todo } from "#protocol/events.ts";
import type { HostRecord, RunQueueReport } from "#protocol/http.ts";

const AUTHOR = { id: "usr_00000000000000000001", name: "Ada" };
export const HOST_ID = "hst_00000000000000000001";

export function prompted(runId: string, messageId: string, text: string): NewEvent {
  return { type: "session.prompted", runId, data: { messageId, text, provider: "claude-code", author: AUTHOR } };
}
export function running(runId: string): NewEvent[] {
  return [
    { type: "run.status", runId, data: { state: "assigned", hostId: HOST_ID } },
    { type: "run.status", runId, data: { state: "preparing", hostId: HOST_ID } },
    { type: "worker.status", data: { state: "active", hostId: HOST_ID, epoch: 1 } },
    { type: "run.status", runId, data: { state: "running", hostId: HOST_ID } },
  ];
}
export function said(runId: string, messageId: string, chunks: UIMessageChunk[]): NewEvent {
  return { type: "message.delta", runId, data: { messageId, chunks } };
}
export function text(id: string, words: string): UIMessageChunk[] {
  return [
    { type: "text-start", id },
    { type: "text-delta", id, delta: words },
    { type: "text-end", id },
  ];
}
export function thought(id: string, words: string): UIMessageChunk[] {
  return [
    { type: "reasoning-start", id },
    { type: "reasoning-delta", id, delta: words },
    { type: "reasoning-end", id },
  ];
}
export function tool(toolCallId: string, toolName: string, input: unknown, output?: unknown): UIMessageChunk[] {
  const asked: UIMessageChunk[] = [{ type: "tool-input-available", toolCallId, toolName, input }];
  return output === undefined ? asked : [...asked, { type: "tool-output-available", toolCallId, output }];
}
export function todos(runId: string, items: readonly [string, Todo["status"]][]): NewEvent {
  return {
    type: "todo.update",
    runId,
    data: { items: items.map(([words, status], id) => ({ id: String(id), text: words, status })) },
  };
}

const ANSWER = `The clock now keeps its own time zone, and the three cities are drawn from one table.

| City | Zone | Offset |
| --- | --- | --- |
| Tokyo | Asia/Tokyo | +9 |
| Nairobi | Africa/Nairobi | +3 |
| Lima | America/Lima | −5 |

\`\`\`ts
// One formatter per zone: making them is what costs.
const formatters = new Map<string, Intl.DateTimeFormat>();

export function timeIn(zone: string, now = new Date()): string {
  const known = formatters.get(zone) ?? new Intl.DateTimeFormat("en", { timeZone: zone, timeStyle: "medium" });
  formatters.set(zone, known);
  return known.format(now);
}
\`\`\`

Two things to know:

- Daylight saving is left to the browser, so \`Lima\` needs no table of its own.
- The page refreshes **once a second**; it sleeps in hidden tabs.`;

const LOG = `\u001b[1m RUN \u001b[22m v5.1.1

 \u001b[32m✓\u001b[39m time zones > formats Tokyo
 \u001b[31m✗\u001b[39m time zones > sleeps when hidden
   AssertionError: expected 2 to be 1
     at clock.test.ts:31:20

 Tests  1 failed | 4 passed (5)`;

/** A finished run with everything a run can show. Ends 40 s before `now`. */
export function clockRun(runId: string): NewEvent[] {
  return [
    prompted(
      runId,
      "cmd_clock",
      "Write a small web page with a clock for Tokyo, Nairobi and Lima.\nOne file, no libraries.",
    ),
    ...running(runId),
    said(
      runId,
      "msg_clock",
      thought("r1", "The page needs three zones. `Intl.DateTimeFormat` knows them, so there is nothing to install."),
    ),
    said(runId, "msg_clock", text("t1", "I'll look at what is there, then write the page.")),
    said(runId, "msg_clock", tool("c1", "Glob", { pattern: "**/*.html" }, "No files found")),
    said(runId, "msg_clock", tool("c2", "Read", { file_path: "/workspace/package.json" }, '{ "name": "clock" }')),
    said(
      runId,
      "msg_clock",
      tool(
        "c3",
        "Write",
        {
          file_path: "/workspace/clock.html",
          content: '<!doctype html>\n<title>Clock</title>\n<ul id="cities"></ul>\n',
        },
        "written",
      ),
    ),
    said(
      runId,
      "msg_clock",
      tool("c4", "Bash", { command: "npx vitest run --reporter=verbose" }, { stdout: LOG, exitCode: 1 }),
    ),
    said(
      runId,
      "msg_clock",
      tool(
        "c5",
        "Edit",
        {
          file_path: "/workspace/clock.html",
          old_string: "setInterval(draw, 1000);",
          new_string:
            "const timer = setInterval(draw, 1000);\naddEventListener('visibilitychange', () => document.hidden && clearInterval(timer));",
        },
        "edited",
      ),
    ),
    said(
      runId,
      "msg_clock",
      tool("c6", "Bash", { command: "npx vitest run" }, { stdout: " Tests  5 passed (5)", exitCode: 0 }),
    ),
    todos(runId, [
      ["Find out what is there", "completed"],
      ["Write the page", "completed"],
      ["Make the tests pass", "completed"],
    ]),
    said(runId, "msg_clock", text("t2", ANSWER)),
    { type: "message.stop", runId, data: { messageId: "msg_clock", text: ANSWER } },
    {
      type: "usage.recorded",
      runId,
      data: {
        inputTokens: 18_240,
        outputTokens: 2_310,
        cacheReadTokens: 64_000,
        cacheWriteTokens: 0,
        reasoningTokens: 0,
        costUsd: 0.087,
        durationMs: 92_000,
      },
    },
    { type: "run.finished", runId, data: { outcome: "succeeded" } },
    { type: "workspace.synced", data: { snapshotId: "a".repeat(64), files: 14, bytes: 48_200, bytesSent: 9_100 } },
  ];
}

/** The beginning of a run that is still going. */
export function deployRun(runId: string): NewEvent[] {
  return [
    prompted(runId, "cmd_deploy", "Now put it on the staging server and check that it answers."),
    ...running(runId),
    said(runId, "msg_deploy", text("t1", "The server is reached over SSH; I copy the file and look at the answer.")),
    todos(runId, [
      ["Copy the page", "in_progress"],
      ["Check that it answers", "pending"],
      ["Write down how to do it again", "pending"],
      ["Find the server's address", "completed"],
    ]),
    said(runId, "msg_deploy", tool("d1", "Bash", { command: "scp clock.html staging:/srv/www/clock.html" })),
  ];
}

export function permission(runId: string, requestId: string): NewEvent[] {
  return [
    {
      type: "human_loop.requested",
      runId,
      data: {
        requestId,
        kind: "permission",
        title: "Run a command that reaches another machine",
        detail: {
          toolName: "Bash",
          command: "scp clock.html staging:/srv/www/clock.html",
          cwd: "/workspace",
          description: "Copy the page to staging",
        },
        options: [],
        multiple: false,
        toolCallId: "d1",
        rule: "Bash(scp clock.html staging:*)",
      },
    },
    { type: "run.status", runId, data: { state: "waiting" } },
  ];
}

export function question(runId: string, requestId: string): NewEvent[] {
  return [
    {
      type: "human_loop.requested",
      runId,
      data: {
        requestId,
        kind: "question",
        title: "Which server is staging?",
        detail: {},
        options: [
          { id: "eu", label: "staging-eu", description: "Frankfurt, the one from last time" },
          { id: "us", label: "staging-us" },
        ],
        multiple: false,
      },
    },
    { type: "run.status", runId, data: { state: "waiting" } },
  ];
}

export function failedRun(runId: string): NewEvent[] {
  return [
    prompted(runId, "cmd_failed", "Summarise the whole repository in one page."),
    ...running(runId),
    {
      type: "run.finished",
      runId,
      data: {
        outcome: "failed",
        reason: "auth_rejected",
        evidence: "401 authentication_error: invalid x-api-key (request req_011CS)",
      },
    },
  ];
}

export function someHosts(now: number): HostRecord[] {
  const facts = {
    version: "0.1.0",
    platform: "linux x64",
    vmModes: ["docker" as const, "process" as const],
    labels: {},
    slots: 4,
  };
  return [
    {
      id: HOST_ID,
      name: "studio",
      pool: "default",
      status: "online",
      lastSeenAt: now,
      createdAt: now - 86_400_000,
      leases: 1,
      facts: {
        ...facts,
        name: "studio",
        providers: {
          scripted: { state: "ready" },
          "claude-code": { state: "ready", version: "2.1.4" },
          "codex-app-server": {
            state: "environment_not_ready",
            reason: "is not installed on this host",
            fix: "gantry host toolkit install codex",
          },
        },
      },
    },
    {
      id: "hst_00000000000000000002",
      name: "basement",
      pool: "default",
      status: "offline",
      lastSeenAt: now - 7_500_000,
      createdAt: now - 864_000_000,
      leases: 0,
      facts: { ...facts, name: "basement", slots: 2, providers: { scripted: { state: "ready" } } },
    },
  ];
}

/** Two runs wait, one host is at work, one run failed for good. */
export function someQueue(now: number): RunQueueReport {
  const waits = { provider: "claude-code", attempts: 0, requestedBy: "usr_ada", enqueuedAt: now - 180_000 } as const;
  return {
    entries: [
      {
        ...waits,
        runId: "run_1",
        sessionId: "ses_1",
        position: 1,
        priority: 5,
        why: "slots",
        waitingFor: "All fitting hosts are busy; the run starts when a slot is free.",
      },
      {
        ...waits,
        runId: "run_2",
        sessionId: "ses_2",
        position: 2,
        priority: 0,
        why: "retry",
        nextAttemptAt: now + 4_000,
      },
    ],
    depth: 2,
    oldestWaitMs: 180_000,
    reasons: { slots: 1, retry: 1 },
    leases: [
      {
        sessionId: "ses_3",
        hostId: HOST_ID,
        epoch: 4,
        state: "held",
        runId: "run_3",
        since: now - 60_000,
        ageMs: 60_000,
      },
    ],
    deadLetters: [
      {
        runId: "run_dead",
        sessionId: "ses_4",
        provider: "codex-app-server",
        reason: "host_lost",
        evidence: "Gave up after 3 attempts: Host studio has been silent since 2026-01-01T00:00:00.000Z.",
        attempts: 3,
        begun: true,
        requestedBy: "usr_ada",
        failedAt: now - 600_000,
      },
    ],
  };
}
