/** `useChat` of @ai-sdk/react on a page, against the real routes: send, stream, reload and resume, stop. */
import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport, type UIMessage, type UIMessageChunk } from "ai";
import { Window } from "happy-dom";
import type { Root } from "react-dom/client";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { RunEvent } from "#protocol/events.ts";
import { newId } from "#protocol/ids.ts";
import { bootstrap, type Caller, firstCaller } from "../support/accounts.ts";
import { HostedRun } from "../support/hosted-run.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import { sharedWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

let worker: WorkerUnderTest;
let me: Caller;
let host: ScriptedHost;
let page: Window;
let createRoot: typeof import("react-dom/client").createRoot;
beforeAll(async () => {
  worker = await sharedWorker();
  me = await firstCaller(worker);
  host = await ScriptedHost.online(worker.origin, (await bootstrap(worker, ["joinToken"])).joinToken, { slots: 5 });
  page = new Window({ url: worker.origin });
  // Node's own fetch and streams: the page is there for React.
  vi.stubGlobal("window", page);
  vi.stubGlobal("document", page.document);
  ({ createRoot } = await import("react-dom/client"));
});
afterAll(async () => {
  // The page stays until this process ends: React's scheduler may still have a look at it.
  await host?.control.close();
  await worker?.close();
});

type Shown = ReturnType<typeof useChat<UIMessage>>;

/** A page that is open on a chat; `chat` is what the hook gave at the last rendering. */
class OpenPage {
  chat: Shown | undefined;
  readonly #root: Root;
  readonly #element = page.document.createElement("div");

  constructor(id: string, messages: UIMessage[], resume: boolean) {
    const transport = new DefaultChatTransport<UIMessage>({
      api: `${worker.origin}/api/chat`,
      headers: { authorization: `Bearer ${me.token}` },
      body: { onDisconnect: "cancel" },
    });
    const Chat = () => {
      const chat = useChat<UIMessage>({ id, messages, transport, resume });
      this.chat = chat;
      return (
        <ol>
          {chat.messages.map((message) => (
            <li key={message.id}>
              {message.role}: {message.parts.map((part) => (part.type === "text" ? part.text : "")).join("")}
            </li>
          ))}
        </ol>
      );
    };
    page.document.body.appendChild(this.#element);
    this.#root = createRoot(this.#element as unknown as Element);
    this.#root.render(<Chat />);
  }

  get lines(): string[] {
    return [...this.#element.querySelectorAll("li")].map((line) => line.textContent);
  }

  async shows(...lines: string[]): Promise<void> {
    await expect.poll(() => this.lines).toEqual(lines);
  }

  close(): void {
    this.#root.unmount();
    this.#element.remove();
  }
}

const delta = (messageId: string, ...chunks: object[]): RunEvent => ({
  type: "message.delta",
  data: { messageId, chunks: chunks as UIMessageChunk[] },
});
const word = (messageId: string, text: string) => delta(messageId, { type: "text-delta", id: "t", delta: text });
const finished = (outcome: "succeeded" | "cancelled"): RunEvent => ({ type: "run.finished", data: { outcome } });

test("[P-32] [P-33] a page sends, streams, is loaded anew in the middle, resumes, and stops", async () => {
  const id = newId("cmd");
  const first = new OpenPage(id, [], false);
  await expect.poll(() => first.chat?.status).toBe("ready");
  void first.chat?.sendMessage({ text: "hello?" });
  const hosted = await HostedRun.first(host);
  expect(hosted.run.prompt).toBe("hello?");
  await hosted.told(delta("one", { type: "text-start", id: "t" }), word("one", "Grüße"));
  await first.shows("user: hello?", "assistant: Grüße");
  expect(first.chat?.status).toBe("streaming");
  const saved = first.chat?.messages.slice(0, 1) ?? [];

  const second = new OpenPage(id, saved, true);
  await second.shows("user: hello?", "assistant: Grüße");
  await hosted.told(word("one", ", Welt 🙂"), delta("one", { type: "text-end", id: "t" }));
  await second.shows("user: hello?", "assistant: Grüße, Welt 🙂");
  await hosted.told(finished("succeeded"));
  await expect.poll(() => [first.chat?.status, second.chat?.status]).toEqual(["ready", "ready"]);
  expect(second.lines).toEqual(first.lines);
  expect(second.chat?.messages[1]?.parts).toEqual(first.chat?.messages[1]?.parts);
  first.close();

  void second.chat?.sendMessage({ text: "and now?" });
  const next = await hosted.next();
  await next.told(delta("two", { type: "text-start", id: "t" }), word("two", "I will"));
  await second.shows("user: hello?", "assistant: Grüße, Welt 🙂", "user: and now?", "assistant: I will");
  await second.chat?.stop();
  expect(await next.data.message("run.stop")).toMatchObject({ runId: next.run.runId });
  await next.told(finished("cancelled"));
  await expect.poll(() => second.chat?.status).toBe("ready");
  const kept = second.chat?.messages ?? [];
  second.close();

  const third = new OpenPage(id, kept, true);
  await third.shows("user: hello?", "assistant: Grüße, Welt 🙂", "user: and now?", "assistant: I will");
  await expect.poll(() => third.chat?.status, { message: "there is nothing to resume" }).toBe("ready");
  third.close();
});
