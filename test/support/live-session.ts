/** What tests of the objects need around a session: a control plane, a scripted host, a page. */
import { type ClientOptions, WebSocket } from "ws";
import type { SessionEvent } from "#protocol/events.ts";
import { newId } from "#protocol/ids.ts";
import { applyEvent, emptyView, type SessionView } from "#protocol/session-view.ts";
import { applyToTranscript, emptyTranscript, type Transcript } from "#protocol/transcript.ts";
import type { Answer, ToViewer, ViewerCommand } from "#protocol/viewer.ts";
import type { TestControlPlane } from "./control-plane.ts";
import { type Closed, within } from "./scripted-host.ts";

type WithoutId<T> = T extends { id: string } ? Omit<T, "id"> : never;

/** A page: folds what it gets with the portal's own functions, and keeps every event it was sent. */
export class Page {
  readonly events: SessionEvent[] = [];
  readonly frames: ToViewer[] = [];
  view: SessionView;
  transcript: Transcript = emptyTranscript;
  hostConnected = false;
  readonly closed: Promise<Closed>;
  readonly #socket: WebSocket;
  #watchers = new Set<() => void>();

  private constructor(socket: WebSocket, sessionId: string) {
    this.#socket = socket;
    this.view = emptyView(sessionId);
    this.closed = new Promise((resolve) =>
      socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() })),
    );
    socket.on("error", () => undefined);
    socket.on("message", (data) => this.#arrived(JSON.parse(data.toString()) as ToViewer));
  }

  static async open(controlPlane: TestControlPlane, sessionId: string, cursor = 0): Promise<Page> {
    const url = `${controlPlane.url.replace(/^http/, "ws")}/api/sessions/${sessionId}/socket?cursor=${cursor}`;
    const options: ClientOptions & { closeTimeout: number } = {
      closeTimeout: 500,
      headers: { authorization: `Bearer ${controlPlane.serviceToken}` },
    };
    const socket = new WebSocket(url, options);
    const page = new Page(socket, sessionId);
    await within(
      page.when((each) => each.frames.some((frame) => frame.type === "live")),
      () => "the page to be live",
    );
    return page;
  }

  get socket(): WebSocket {
    return this.#socket;
  }

  /** Sends a command with a fresh id, or the given one, and answers what came back. */
  async ask(command: WithoutId<ViewerCommand>, id: string = newId("cmd")): Promise<Answer> {
    this.#socket.send(JSON.stringify({ ...command, id }));
    return await this.answered(id);
  }

  async answered(id: string): Promise<Answer> {
    const find = () => this.frames.find((frame): frame is Answer => frame.type === "answer" && frame.id === id);
    await within(
      this.when(() => find() !== undefined),
      () => `the answer to ${id}`,
    );
    return find() as Answer;
  }

  async when(holds: (page: Page) => boolean): Promise<void> {
    if (holds(this)) return;
    await new Promise<void>((resolve) => {
      const look = () => {
        if (!holds(this)) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
    });
  }

  async until(what: string, holds: (view: SessionView) => boolean): Promise<void> {
    await within(
      this.when((page) => holds(page.view)),
      () => `${what}; the view is ${JSON.stringify(this.view).slice(0, 2_000)}`,
    );
  }

  close(): void {
    this.#socket.close();
  }

  #arrived(frame: ToViewer): void {
    this.frames.push(frame);
    if (frame.type === "snapshot") {
      this.view = frame.view;
      this.transcript = frame.transcript;
    } else if (frame.type === "events") {
      for (const event of frame.events) {
        this.events.push(event);
        this.view = applyEvent(this.view, event);
        this.transcript = applyToTranscript(this.transcript, event);
      }
    } else if (frame.type === "live") {
      this.hostConnected = frame.hostConnected;
    } else if (frame.type === "host") {
      this.hostConnected = frame.connected;
    }
    for (const look of [...this.#watchers]) look();
  }
}

export async function newSession(controlPlane: TestControlPlane): Promise<string> {
  const response = await controlPlane.call("/api/sessions", {
    method: "POST",
    body: { title: "Test", provider: "scripted" },
  });
  const { session } = (await response.json()) as { session: { id: string } };
  return session.id;
}

/** The whole SSE stream of a run as events, with the `id:` of each. Ends when the server ends it. */
export async function readStream(
  controlPlane: TestControlPlane,
  path: string,
): Promise<{ id: number; event: SessionEvent }[]> {
  const response = await controlPlane.call(path, { headers: { accept: "text/event-stream" } });
  const text = await within(response.text(), () => `the end of ${path}`);
  return text
    .split("\n\n")
    .filter((block) => block.includes("data: "))
    .map((block) => ({
      id: Number(/^id: (\d+)$/m.exec(block)?.[1]),
      event: JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? "null") as SessionEvent,
    }));
}
