/**
 * The server's side of everything a host dials, as the test wants it: join, connect, both links, the store. It keeps the
 * rules of the wire unless the test breaks them, and records all it gets. Nothing here is the product's code.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { CLOSE_CODES, type CloseName } from "#protocol/close-codes.ts";
import type { Assignment, FromHostControl, FromHostData, ToHostControl, ToHostData } from "#protocol/messages.ts";
import { Inbox } from "./inbox.ts";

export type Auth = { type: "auth"; token: string; protocol: number; epoch?: number };
type Message = { type: string };
export type HttpCall = { method: string; path: string; body: string };

/** One link as the server knows it, over all its connections. */
export class ScriptedPeer<In extends Message, Out extends Message> {
  /** Messages that were taken, in order, each once. */
  readonly messages = new Inbox<In>();
  /** Every frame as text, handshake and pings included. */
  readonly frames = new Inbox<string>();
  /** Every connection with the auth it began with. */
  readonly connections = new Inbox<{ auth: Auth; path: string }>();
  readonly closes = new Inbox<{ code: number; reason: string }>();
  /** The numbers that arrived, duplicates too. */
  readonly numbers: number[] = [];
  taken = 0;
  acknowledged = 0;
  sent = 0;
  /** What to do with the next connection's auth instead of welcoming it. */
  refuse: CloseName | undefined;
  refuseReason = "";
  /** Whether messages are acknowledged, as they come and with what is sent. */
  acknowledges = true;
  #confirmed = 0;
  answersPings = true;
  #outbox: { n: number; text: string }[] = [];
  #socket: WebSocket | undefined;
  #live = false;

  connect(socket: WebSocket, path: string): void {
    socket.on("message", (data) => this.#arrived(socket, data.toString(), path));
    socket.on("close", (code, reason) => {
      if (this.#socket === socket) this.#live = false;
      this.closes.put({ code, reason: reason.toString() });
    });
  }

  /** Says something; it is kept until the host has it. Answers its number. */
  send(message: Out): number {
    const n = ++this.sent;
    if (this.acknowledges) this.#confirmed = this.taken;
    const text = JSON.stringify({ n, ack: this.#confirmed, message });
    this.#outbox.push({ n, text });
    if (this.#live) this.raw(text);
    return n;
  }

  /** Puts a frame on the wire as it is. */
  raw(frame: string | Buffer): void {
    this.#socket?.send(frame);
  }

  acknowledge(): void {
    this.#confirmed = this.taken;
    this.raw(JSON.stringify({ ack: this.taken }));
  }

  close(name: CloseName, reason = ""): void {
    this.#socket?.close(CLOSE_CODES[name].code, reason);
  }

  closeWith(code: number): void {
    this.#socket?.close(code);
  }

  /** Says goodbye and then leaves the connection open, as workerd does with a close that comes from an alarm. */
  closeAndStay(name: CloseName): void {
    const { code } = CLOSE_CODES[name];
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    // Nothing more is read: the answer to the close would end the connection.
    this.#socket?.pause();
    const socket = this.#socket as unknown as { _socket: { write(bytes: Buffer): void } } | undefined;
    socket?._socket.write(Buffer.concat([Buffer.from([0x88, payload.length]), payload]));
  }

  /** Cuts the line without a word. */
  cut(): void {
    this.#live = false;
    this.#socket?.terminate();
  }

  /** The server lost its state of this link, or a new lease began. */
  forget(): void {
    this.taken = this.sent = this.#confirmed = 0;
    this.#outbox = [];
  }

  #arrived(socket: WebSocket, text: string, path: string): void {
    this.frames.put(text);
    if (text === "ping") {
      if (this.answersPings) socket.send("pong");
      return;
    }
    const frame = JSON.parse(text);
    if (frame.type === "auth") {
      this.connections.put({ auth: frame, path });
      if (this.refuse) return socket.close(CLOSE_CODES[this.refuse].code, this.refuseReason);
      this.#socket = socket;
      socket.send(JSON.stringify({ type: "welcome", protocol: 1, now: Date.now() }));
    } else if (frame.type === "resume") {
      this.#acknowledged(frame.received);
      socket.send(JSON.stringify({ type: "resumed", received: this.taken }));
      for (const each of this.#outbox) socket.send(each.text);
      this.#live = true;
    } else {
      this.#acknowledged(frame.ack);
      if (frame.n !== undefined) this.#take(frame.n, frame.message);
    }
  }

  #take(n: number, message: In): void {
    this.numbers.push(n);
    if (n === this.taken + 1) {
      this.taken = n;
      this.messages.put(message);
    } else if (n > this.taken) {
      throw new Error(`the host left out numbers: ${n} after ${this.taken}`);
    }
    if (this.acknowledges) this.acknowledge();
  }

  #acknowledged(ack: number): void {
    if (ack > this.sent) throw new Error(`the host acknowledged ${ack} of ${this.sent}`);
    this.acknowledged = Math.max(this.acknowledged, ack);
    this.#outbox = this.#outbox.filter(({ n }) => n > ack);
  }
}

export type ControlPeer = ScriptedPeer<FromHostControl, ToHostControl>;
export type DataPeer = ScriptedPeer<FromHostData, ToHostData>;

export class ScriptedControlPlane {
  readonly control: ControlPeer = new ScriptedPeer();
  readonly http = new Inbox<HttpCall>();
  /** Answers `POST …/connect` and `…/join`; a test may replace it. */
  tokens = 0;
  tokenLifeMs = 10 * 60_000;
  now: () => number = Date.now;
  refuseConnect: { status: number; reason: string } | undefined;
  hostId = "hst_00000000000000000001";
  readonly #server: Server;
  readonly #data = new Map<string, DataPeer>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<ScriptedControlPlane> {
    const server = createServer();
    const plane = new ScriptedControlPlane(server);
    const sockets = new WebSocketServer({ noServer: true, maxPayload: 32 * 1024 * 1024 });
    server.on("request", (request, response) => void plane.#http(request, response));
    server.on("upgrade", (request, socket, head) => {
      sockets.handleUpgrade(request, socket, head, (accepted) => plane.#accept(accepted, request.url ?? ""));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return plane;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get socketUrl(): string {
    return this.url.replace("http", "ws");
  }

  /** The data link of a session. */
  data(sessionId: string): DataPeer {
    const known = this.#data.get(sessionId) ?? (new ScriptedPeer() as DataPeer);
    this.#data.set(sessionId, known);
    return known;
  }

  assignment(sessionId: string, epoch = 1, vmMode: Assignment["vmMode"] = "process"): Assignment {
    return {
      sessionId,
      epoch,
      vmMode,
      dataUrl: `${this.socketUrl}/data/${sessionId}`,
      storeUrl: `${this.url}/store/${sessionId}`,
      traceId: "trc_00000000000000000001",
    };
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    for (const peer of [this.control, ...this.#data.values()]) peer.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: WebSocket, path: string): void {
    const session = /^\/data\/([^/?]+)/.exec(path)?.[1];
    if (session) this.data(session).connect(socket, path);
    else this.control.connect(socket as WebSocket, path);
  }

  async #http(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) body += chunk;
    const path = request.url ?? "";
    this.http.put({ method: request.method ?? "", path, body });
    const say = (status: number, json: unknown) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
    if (path === "/healthz") return void say(200, { ok: true });
    if (path === "/api/hosts/join")
      return void say(200, { hostId: this.hostId, organizationId: "org_1", pool: "default" });
    if (path === `/api/hosts/${this.hostId}/connect`) {
      if (this.refuseConnect) {
        const { status, reason } = this.refuseConnect;
        return void say(status, { ok: false, reason, message: reason });
      }
      return void say(200, this.#connection());
    }
    say(503, { ok: false, reason: "unavailable", message: "not scripted" });
  }

  #connection() {
    const n = ++this.tokens;
    return {
      connect_url: `${this.socketUrl}/control?ticket=${n}`,
      reconnect_url: `${this.socketUrl}/control`,
      token: `token-${n}`,
      expires_at: this.now() + this.tokenLifeMs,
    };
  }
}
