import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { gzipBytes, type PortalBrowser, SCREENS } from "../support/portal-browser.ts";
import {
  clockRun,
  deployRun,
  failedRun,
  permission,
  prompted,
  question,
  said,
  someHosts,
  someQueue,
  todos,
} from "../support/portal-story.ts";
import { portalSuite } from "../support/portal-suite.ts";
import { finished, type ScriptedSession } from "../support/scripted-portal-server.ts";

const REQUEST = "req_00000000000000000001-0000000001";

let at: PortalBrowser;

const built = portalSuite((each) => {
  at = each;
  at.portal.hosts = someHosts(Date.now());
  at.portal.queue = { entries: [], depth: 0, oldestWaitMs: 0, reasons: {}, leases: [], deadLetters: [] };
});

const transcriptOf = (page: Page): Promise<string> => page.getByTestId("transcript").innerText();

function workingSession(): { session: ScriptedSession; runId: string } {
  const session = at.portal.session("World clock", { provider: "claude-code" });
  session.say(clockRun(session.newRunId()));
  const runId = session.newRunId();
  session.say(deployRun(runId));
  return { session, runId };
}

describe("the build", () => {
  it("keeps its budget: entry 180 kB, conversation 170 kB more, gzipped", async () => {
    const loaded = new Set<string>();
    const entry = await gzipBytes(built.assets, /^index-.*\.js$/, loaded);
    const conversation = await gzipBytes(built.assets, /^session-page-.*\.js$/, loaded);
    expect(entry).toBeGreaterThan(50_000);
    expect(entry).toBeLessThan(180_000);
    expect(conversation).toBeGreaterThan(50_000);
    expect(conversation).toBeLessThan(170_000);
  });
});

describe("signing in", () => {
  it("trades the link's token with one click", async () => {
    at.portal.signedIn = false;
    const page = await at.page();
    await page.goto("/sign-in#token=good");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByTestId("composer").waitFor();
    expect(page.url()).toBe(`${at.portal.origin}/`);
  });

  it.each([
    ["used", "This link has been used"],
    ["expired", "This link has expired"],
    ["broken", "This link is not valid"],
  ])("says what is wrong with a link that is %s", async (token, text) => {
    at.portal.signedIn = false;
    const page = await at.page();
    await page.goto(`/sign-in?token=${token}`);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText(text).waitFor();
  });

  it("says how to get a link when there is none", async () => {
    at.portal.signedIn = false;
    const page = await at.page();
    await page.goto("/hosts");
    await page.getByText("How to get a link").waitFor();
  });
});

describe.each(["desktop", "phone"] as const)("on a %s", (screen) => {
  it("starts a session with a prompt and follows the work to its end", async () => {
    const page = await at.page(SCREENS[screen]);
    await page.goto("/");
    const send = async (text: string) => {
      await page.getByTestId("composer").fill(text);
      await page.getByTestId("send").click();
    };
    await send("Make a clock");
    await page.getByTestId("message-user").getByText("Make a clock").waitFor();
    await expect.poll(() => at.portal.commands.length).toBeGreaterThan(0);
    const session = [...at.portal.sessions.values()][0];
    const runId = session?.view.runs[0]?.id ?? "";
    session?.say(clockRun(runId).slice(1));
    await page.getByTestId("message-assistant").getByText("keeps its own time zone").waitFor();
    // What failed is open; the quiet steps around it are folded.
    expect(await page.getByTestId("tool-card").and(page.locator("[data-outcome=failed]")).innerText()).toContain(
      "exit 1",
    );
    await page.getByText("Searched 1 time, read 1 file, wrote 1 file").waitFor();
    await page.getByText(/^Worked for/).waitFor();
    expect(await page.getByTestId("message-user").count()).toBe(1);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
    expect(at.complaints).toEqual([]);
  });

  it("asks for permission with the whole command, and takes no Enter for a yes", async () => {
    const { session, runId } = workingSession();
    session.say(permission(runId, REQUEST));
    const page = await at.page(SCREENS[screen]);
    await page.goto(`/s/${session.id}`);
    const card = page.getByTestId("permission-card");
    await card.getByText("scp clock.html staging:/srv/www/clock.html", { exact: true }).waitFor();
    await card.getByText("Bash(scp clock.html staging:*)").waitFor();
    await page.getByTestId("composer").focus();
    await page.keyboard.press("Enter");
    await page.keyboard.type("wait a moment");
    await page.keyboard.press("Control+Enter");
    expect(at.portal.commands.filter((command) => command.type === "reply")).toEqual([]);
    const box = await page.getByTestId("allow-once").boundingBox();
    expect((box?.y ?? 0) + (box?.height ?? 0)).toBeLessThan(SCREENS[screen].viewport.height);
    await page.getByTestId("allow-once").click();
    await card.waitFor({ state: "detached" });
    expect(at.portal.commands.filter((command) => command.type === "reply")).toMatchObject([
      { reply: { requestId: REQUEST, decision: "allow", scope: "once" } },
    ]);
    expect(at.complaints).toEqual([]);
  });

  it("queues a follow-up while a run is active, and takes it back", async () => {
    const { session, runId } = workingSession();
    const page = await at.page(SCREENS[screen]);
    await page.goto(`/s/${session.id}`);
    await page.getByPlaceholder("Add a follow-up…").fill("Then write it down");
    await page.getByTestId("send").click();
    const item = page.getByTestId("queue-item");
    await item.getByText("Then write it down").waitFor();
    await item.getByText("Queued").waitFor();
    await item.getByRole("button").click();
    await item.waitFor({ state: "detached" });
    await page.getByTestId("stop").click();
    await page
      .getByText(/^Stopped after/)
      .last()
      .waitFor();
    expect(session.view.runs.find((run) => run.id === runId)).toMatchObject({
      state: "finished",
      outcome: "cancelled",
    });
    expect(at.complaints).toEqual([]);
  });

  it("shows the files of the workspace", async () => {
    const { session } = workingSession();
    session.files.set("src/clock.ts", "export const zone = 'Asia/Tokyo';\n");
    session.files.set("data.bin", Buffer.from([1, 0, 2]));
    const page = await at.page(SCREENS[screen]);
    await page.goto(`/s/${session.id}/files`);
    await page.getByRole("treeitem", { name: "src" }).click();
    await page.getByRole("treeitem", { name: "clock.ts" }).click();
    await page.getByTestId("file-preview").getByText("Asia/Tokyo").waitFor();
    expect(await page.getByTestId("download").getAttribute("href")).toContain("path=src%2Fclock.ts");
    expect(at.complaints).toEqual([]);
  });

  it("shows hosts, what they lack, and the command that adds one", async () => {
    const page = await at.page(SCREENS[screen]);
    await page.goto("/hosts");
    await page.getByTestId("host-row").first().getByText("gantry host toolkit install codex").waitFor();
    await page.getByTestId("host-row").nth(1).getByText("Offline").waitFor();
    await page.getByRole("button", { name: "Add a host" }).click();
    const command = await page.getByTestId("join-command").innerText();
    expect(command).toBe(`node executor-host/cli/gantry.mjs host join ${at.portal.origin} --token gjt_test`);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Actions for studio" }).click();
    await page.getByRole("menuitem", { name: /^Drain/ }).click();
    await page.getByText("Draining").waitFor();
    await page.getByRole("button", { name: "Actions for studio" }).click();
    await page.getByRole("menuitem", { name: /^Resume/ }).click();
    await page.getByText("Draining").waitFor({ state: "detached" });
    expect(at.complaints).toEqual([]);
  });

  it("shows the queue: what waits and why, who has which session, and dead letters that can be run again", async () => {
    at.portal.queue = someQueue(Date.now());
    const page = await at.page(SCREENS[screen]);
    await page.goto("/hosts");
    await page.getByTestId("queue-depth").getByText("2 runs; the oldest has waited for 3 m").waitFor();
    const waiting = page.getByRole("region", { name: "Waiting runs" });
    await waiting.getByText("All fitting hosts are busy").waitFor();
    await waiting.getByText("priority 5").waitFor();
    await page.getByRole("region", { name: "Leases" }).getByText("studio").waitFor();
    const letter = page.getByTestId("dead-letter");
    await letter.getByText("Gave up after 3 attempts").waitFor();
    await letter.getByRole("button", { name: "Run it again" }).click();
    await letter.getByText("run again", { exact: true }).waitFor();
    expect(at.portal.requests).toContain("POST /api/runs/queue/dead-letters/run_dead/redrive");
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflow, "nothing sticks out of the page").toBeLessThanOrEqual(0);
    expect(at.complaints).toEqual([]);
  });
});

describe("the human loop", () => {
  it("says who was quicker", async () => {
    const { session, runId } = workingSession();
    session.say(permission(runId, REQUEST));
    const page = await at.page();
    await page.goto(`/s/${session.id}`);
    await page.getByTestId("permission-card").waitFor();
    session.say([
      {
        type: "human_loop.resolved",
        runId,
        data: { requestId: REQUEST, decision: "deny", by: { id: "g", name: "Grace" } },
      },
    ]);
    await page.getByTestId("answered-elsewhere").getByText("Denied by Grace").waitFor();
  });

  it("carries a reason along with a no", async () => {
    const { session, runId } = workingSession();
    session.say(permission(runId, REQUEST));
    const page = await at.page();
    await page.goto(`/s/${session.id}`);
    await page.getByTestId("deny").click();
    await page.keyboard.type("Use the other server");
    await page.getByTestId("deny-send").click();
    await expect
      .poll(() => at.portal.commands)
      .toMatchObject([{ type: "reply", reply: { decision: "deny", reason: "Use the other server" } }]);
  });

  it("takes options and own words as answers to a question", async () => {
    const { session, runId } = workingSession();
    session.say(question(runId, REQUEST));
    const page = await at.page();
    await page.goto(`/s/${session.id}`);
    const card = page.getByTestId("question-card");
    await card.getByLabel("staging-eu").check();
    await card.getByLabel("Answer in your own words").fill("port 2222");
    await page.getByTestId("answer").click();
    await expect
      .poll(() => at.portal.commands)
      .toMatchObject([{ reply: { decision: "answer", answers: ["eu", "port 2222"] } }]);
  });
});

describe("the connection", () => {
  it("comes back unseen; only a run that goes on for 5 s without it is worth a banner", async () => {
    const { session, runId } = workingSession();
    const page = await at.page();
    await page.clock.install();
    await page.goto(`/s/${session.id}`);
    await page.getByText("AssertionError").waitFor();
    const before = await page.getByTestId("message-assistant").allInnerTexts();
    at.portal.cutOff = true;
    at.portal.dropSockets();
    await page.clock.fastForward(3_000);
    expect(await page.getByTestId("reconnect-banner").count()).toBe(0);
    await page.clock.fastForward(4_000);
    await page
      .getByTestId("reconnect-banner")
      .getByText(/attempt \d/)
      .waitFor();
    await page.getByTestId("composer").fill("typed while offline");
    session.say([
      said(runId, "msg_deploy", [
        { type: "text-start", id: "t9" },
        { type: "text-delta", id: "t9", delta: "Meanwhile." },
      ]),
    ]);
    at.portal.cutOff = false;
    await page.clock.fastForward(11_000);
    await page.getByText("Meanwhile.").waitFor();
    await page.getByTestId("reconnect-banner").waitFor({ state: "detached" });
    expect(await page.getByTestId("composer").inputValue()).toBe("typed while offline");
    const after = await page.getByTestId("message-assistant").allInnerTexts();
    expect(after[0]).toBe(before[0]);
    await page.reload();
    await page.getByText("Meanwhile.").waitFor();
    await page.getByText("AssertionError").waitFor();
    expect(await page.getByTestId("composer").inputValue()).toBe("typed while offline");
    expect(await page.getByTestId("message-assistant").allInnerTexts()).toEqual(after);
  });

  it("sends a prompt whose answer was lost again, and it runs once", async () => {
    const { session } = workingSession();
    const page = await at.page();
    await page.goto(`/s/${session.id}`);
    await page.getByText("I copy the file").waitFor();
    at.portal.loseAnswers = true;
    await page.getByTestId("composer").fill("Only once");
    await page.getByTestId("send").click();
    await expect.poll(() => at.portal.commands.filter((command) => command.type === "prompt").length).toBe(1);
    at.portal.loseAnswers = false;
    await page.getByTestId("queue-item").getByText("Queued").waitFor();
    expect(session.view.runs.filter((run) => "prompt" in run && run.prompt === "Only once")).toHaveLength(1);
  });

  it("opens a long session from a snapshot", async () => {
    const { session } = workingSession();
    session.snapshotFirst = true;
    const page = await at.page();
    await page.goto(`/s/${session.id}`);
    await page.getByText("I copy the file").waitFor();
  });
});

describe("the keyboard", () => {
  it("is enough: prompt, stop, approve, files, help, palette", async () => {
    const { session, runId } = workingSession();
    const page = await at.page();
    await page.goto(`/s/${session.id}`);
    await page.getByText("I copy the file").waitFor();
    await page.keyboard.type("Also this");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("and that");
    await page.keyboard.press("Enter");
    await page.getByTestId("queue-item").waitFor();
    expect(at.portal.commands).toMatchObject([{ type: "prompt", prompt: { text: "Also this\nand that" } }]);
    session.say(permission(runId, REQUEST));
    await page.getByTestId("permission-card").waitFor();
    await page.getByTestId("transcript").focus();
    await page.keyboard.press("p");
    await page.keyboard.press("a");
    await page.getByTestId("permission-card").waitFor({ state: "detached" });
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(at.portal.commands.filter((command) => command.type === "stop")).toEqual([]);
    await page.keyboard.press("Escape");
    await expect.poll(() => at.portal.commands.filter((command) => command.type === "stop").length).toBe(1);
    await page.keyboard.press("Control+k");
    await page.keyboard.type("host");
    await page.keyboard.press("Enter");
    await page.getByTestId("host-row").first().waitFor();
    expect(at.complaints).toEqual([]);
  });

  it("does not send while a word is being composed", async () => {
    const { session } = workingSession();
    const page = await at.page();
    await page.goto(`/s/${session.id}`);
    const composer = page.getByTestId("composer");
    await composer.fill("こんにちは");
    // Safari: the key comes within 30 ms after the end of the composition, so both happen in one go.
    await composer.evaluate((field) => {
      const enter = (keyCode: number) =>
        new KeyboardEvent("keydown", { key: "Enter", keyCode, bubbles: true, cancelable: true });
      field.dispatchEvent(enter(229));
      field.dispatchEvent(new CompositionEvent("compositionend", { data: "は", bubbles: true }));
      field.dispatchEvent(enter(13));
    });
    expect(await composer.inputValue()).toBe("こんにちは");
    expect(at.portal.commands.filter((command) => command.type === "prompt")).toEqual([]);
  });
});

describe("the list of sessions", () => {
  const LIST = /\/api\/sessions(\?.*)?$/;

  it("shows what needs a person, renames, deletes, and finds", async () => {
    const { session, runId } = workingSession();
    at.portal.session("Another one");
    const page = await at.page();
    await page.goto(`/s/${session.id}`);
    const rows = page.getByTestId("session-row");
    await rows.nth(1).waitFor();
    // What the open session says stands in the list before the list is asked for again.
    await page.route(LIST, (route) => route.abort());
    session.say(permission(runId, REQUEST));
    await rows.filter({ hasText: "World clock" }).getByText("Needs you").waitFor();
    await page.unroute(LIST);
    at.complaints.length = 0;
    await page.getByRole("button", { name: "Actions for Another one" }).click();
    await page.getByRole("menuitem", { name: "Rename…" }).click();
    await page.keyboard.type("Renamed");
    await page.keyboard.press("Enter");
    await rows.getByText("Renamed").waitFor();
    await page.getByLabel("Search sessions").fill("renam");
    await expect.poll(() => rows.count()).toBe(1);
    await page.getByRole("button", { name: "Actions for Renamed" }).click();
    await page.getByRole("menuitem", { name: "Delete…" }).click();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByText("No session is called that.").waitFor();
    expect(at.portal.sessions.size).toBe(1);
    expect(at.complaints).toEqual([]);
  });

  it("works in the drawer of a phone", async () => {
    workingSession();
    const page = await at.page(SCREENS.phone);
    await page.goto("/");
    await page.getByRole("button", { name: "Sessions" }).click();
    await page.getByRole("button", { name: "Actions for World clock" }).click();
    await page.getByRole("menuitem", { name: "Rename…" }).click();
    await page.getByLabel("Title").fill("Clock");
    await page.getByRole("button", { name: "Rename" }).click();
    await page.getByTestId("session-row").getByRole("link").click();
    await page.getByRole("heading", { name: "Clock" }).waitFor();
    await page.getByTestId("todo-strip").getByText("Copy the page").waitFor();
    expect(at.complaints).toEqual([]);
  });
});

it("nothing moves for people who asked for less motion", async () => {
  const { session, runId } = workingSession();
  session.say(permission(runId, REQUEST));
  const page = await at.page();
  await page.goto(`/s/${session.id}`);
  const card = page.getByTestId("permission-card");
  const motion = () => card.evaluate((element) => getComputedStyle(element).animationName);
  expect(await motion()).toBe("none");
  await page.emulateMedia({ reducedMotion: "no-preference" });
  expect(await motion()).toBe("arrive");
});

describe("what is true is shown", () => {
  it("says what a prompt waits for, and lets it be taken back", async () => {
    const session = at.portal.session("Waiting");
    const runId = session.newRunId();
    session.say([
      prompted(runId, "cmd_1", "Go"),
      { type: "run.status", runId, data: { state: "queued", detail: "no host is online" } },
    ]);
    const page = await at.page();
    await page.goto(`/s/${session.id}`);
    await page.getByText("Waiting for a host: no host is online").waitFor();
    await page.getByTestId("stop").click();
    await page.getByText(/^Stopped after/).waitFor();
    expect(at.portal.commands).toMatchObject([{ type: "stop", runId }]);
  });

  it("names the reason of a failure and what to do", async () => {
    const session = at.portal.session("Summary");
    session.say(failedRun(session.newRunId()));
    session.say([
      {
        type: "workspace.sync_failed",
        data: { reason: "the store answered 503", attempt: 2, nextAt: Date.now() + 60_000 },
      },
    ]);
    const page = await at.page();
    await page.goto(`/s/${session.id}`);
    await page.getByText("The provider refused the key.").waitFor();
    await page.getByText("invalid x-api-key").waitFor();
    await page.getByText(/Attempt 2, retrying at/).waitFor();
  });

  it("keeps the session of a host that is away", async () => {
    const { session } = workingSession();
    at.portal.hosts = at.portal.hosts.map((host) => ({ ...host, status: "offline", lastSeenAt: Date.now() - 60_000 }));
    const page = await at.page();
    await page.goto(`/s/${session.id}`);
    await page.getByText(/Host studio is offline since .* the session is kept/).waitFor();
    expect(await transcriptOf(page)).toContain("I copy the file");
    // It is lost, with work that no snapshot has.
    session.say([{ type: "worker.status", data: { state: "cold", detail: "the host fell silent" } }]);
    await page.getByText("Work that was not saved is kept on host studio, which is offline.").waitFor();
    const { hostId } = session.view.workspace.kept?.[0] ?? { hostId: "" };
    const [epoch, snapshotId] = [session.view.workspace.kept?.[0]?.epoch ?? 0, "e".repeat(64)];
    const sizes = { files: 3, bytes: 3, bytesSent: 3, durationMs: 1 };
    session.say([{ type: "workspace.kept", data: { hostId, epoch, snapshotId, ...sizes } }]);
    await page.getByText("What host studio had not saved is in a snapshot of its own (3 files).").waitFor();
    expect(await page.getByRole("link", { name: "Look at it" }).getAttribute("href")).toContain(snapshotId);
  });

  it("groups the steps by their state", async () => {
    const session = at.portal.session("Steps");
    const runId = session.newRunId();
    session.say([
      prompted(runId, "cmd_1", "Go"),
      todos(runId, [
        ["One", "completed"],
        ["Two", "in_progress"],
        ["Three", "pending"],
      ]),
    ]);
    session.say([finished(runId, "succeeded")]);
    const page = await at.page();
    await page.goto(`/s/${session.id}`);
    expect(
      (await page.getByTestId("todo-panel").innerText())
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean),
    ).toEqual(["In progress · 1", "Two", "To do · 1", "Three", "Done · 1", "One"]);
  });
});
