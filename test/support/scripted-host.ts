/**
 * A host as the test wants it: it joins and connects like a real one, but every frame is the test's own to send, to
 * keep back, to repeat or to spoil. Nothing here is the daemon's code.
 */
import { generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { type ClientOptions, WebSocket } from "ws";
import { TIMES } from "#protocol/limits.ts";
import {
  type Assignment,
  AUTH_HEADER,
  AUTH_TAKEN,
  type FromHostControl,
  type FromHostData,
  type HostFacts,
} from "#protocol/messages.ts";
import { PROTOCOL_VERSION } from "#protocol/version.ts";

/** No test waits longer for something that has to come; reaching it is a failure, never a way to pass. */
const PATIENCE_MS = 15_000;

type Frame = Record<string, unknown>;
export type Closed = { code: number; reason: string };

/** One socket of the host's side. Frames are kept; `next` takes the first that fits, waiting if it is not there yet. */
export class ScriptedLink {
  readonly socket: WebSocket;
  readonly closed: Promise<Closed>;
  /** Every frame that came, in order. */
  readonly frames: Frame[] = [];
  #unread: Frame[] = [];
  #waiting: { fits: (frame: Frame) => boolean; resolve: (frame: Frame) => void }[] = [];
  #opened: Promise<void>;
  sent = 0;
  taken = 0;
  /** The server took the handshake from the dial. */
  introduced = false;

  constructor(url: string, headers: Record<string, string> = {}) {
    // The types of ws do not know closeTimeout yet.
    const options: ClientOptions & { closeTimeout: number } = { headers, closeTimeout: 500, perMessageDeflate: false };
    this.socket = new WebSocket(url, options);
    this.socket.once("upgrade", (response) => {
      this.introduced = response.headers[AUTH_HEADER] === AUTH_TAKEN;
    });
    this.#opened = new Promise((resolve, reject) => {
      this.socket.once("open", resolve);
      this.socket.once("error", reject);
      this.socket.once("unexpected-response", (_request, response) => reject(new Error(`HTTP ${response.statusCode}`)));
    });
    this.closed = new Promise((resolve) => {
      this.socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    // A socket that breaks later shows in `closed`.
    this.socket.on("error", () => undefined);
    this.socket.on("message", (data) => this.#arrived(data.toString()));
  }

  async open(): Promise<this> {
    await this.#opened;
    return this;
  }

  raw(frame: string | Buffer): void {
    this.socket.send(frame);
  }

  frame(frame: unknown): void {
    this.raw(JSON.stringify(frame));
  }

  /** The next numbered message; answers its number. */
  send(message: FromHostControl | FromHostData): number {
    this.frame({ n: ++this.sent, ack: this.taken, message });
    return this.sent;
  }

  /** auth → welcome → resume → resumed. Answers how far the server has taken this host's messages. */
  async handshake(token: string, options: { epoch?: number; received?: number } = {}): Promise<number> {
    if (!this.introduced) this.frame(authOf(token, options.epoch));
    await this.next((frame) => frame.type === "welcome");
    this.taken = options.received ?? 0;
    if (!this.introduced) this.frame({ type: "resume", received: this.taken });
    const resumed = await this.next((frame) => frame.type === "resumed");
    this.sent = resumed.received as number;
    return this.sent;
  }

  async next(fits: (frame: Frame) => boolean): Promise<Frame> {
    const index = this.#unread.findIndex(fits);
    if (index >= 0) return this.#unread.splice(index, 1)[0] as Frame;
    return await within(
      new Promise<Frame>((resolve) => this.#waiting.push({ fits, resolve })),
      () => `the expected frame; got ${JSON.stringify(this.frames.slice(-5))}`,
    );
  }

  /** The next numbered message of a type; it is acknowledged. */
  async message<T extends Frame>(type: string): Promise<T> {
    const frame = await this.next((each) => (each.message as Frame | undefined)?.type === type);
    this.taken = Math.max(this.taken, frame.n as number);
    this.frame({ ack: this.taken });
    return frame.message as T;
  }

  /** Resolves when the server has taken number `n`. */
  async acknowledged(n: number): Promise<void> {
    await this.next((frame) => !("n" in frame) && typeof frame.ack === "number" && frame.ack >= n);
  }

  /** As a real host does, until the socket closes. */
  keepPinging(): void {
    const pinging = setInterval(
      () => this.socket.readyState === WebSocket.OPEN && this.raw("ping"),
      TIMES.pingIntervalMs,
    );
    void this.closed.then(() => clearInterval(pinging));
  }

  async close(): Promise<Closed> {
    this.socket.close();
    return await within(this.closed, () => "the close");
  }

  #arrived(text: string): void {
    if (text === "pong") return;
    const frame = JSON.parse(text) as Frame;
    this.frames.push(frame);
    const index = this.#waiting.findIndex((waiter) => waiter.fits(frame));
    if (index >= 0) this.#waiting.splice(index, 1)[0]?.resolve(frame);
    else this.#unread.push(frame);
  }
}

export type ScriptedHostOptions = Partial<Pick<HostFacts, "name" | "slots" | "vmModes" | "providers" | "labels">> & {
  /** Never pings: to the pool it falls silent. */
  silent?: boolean;
};

export class ScriptedHost {
  /** Changes when the control plane came back at another port. */
  origin: string;
  readonly #privateKey: ReturnType<typeof generateKeyPairSync>["privateKey"];
  readonly publicKey: { kty: "OKP"; crv: "Ed25519"; x: string };
  readonly options: ScriptedHostOptions;
  id = "";
  token = "";
  control!: ScriptedLink;

  constructor(origin: string, options: ScriptedHostOptions = {}) {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    this.#privateKey = privateKey;
    this.publicKey = { kty: "OKP", crv: "Ed25519", x: String(publicKey.export({ format: "jwk" }).x) };
    this.origin = origin;
    this.options = options;
  }

  /** Joined, connected, its facts told. */
  static async online(origin: string, joinToken: string, options: ScriptedHostOptions = {}): Promise<ScriptedHost> {
    const host = new ScriptedHost(origin, options);
    await host.join(joinToken);
    await host.connect();
    return host;
  }

  async join(joinToken: string): Promise<void> {
    const answer = await this.#post("/api/hosts/join", {
      joinToken,
      publicKey: this.publicKey,
      name: this.options.name ?? "scripted",
    });
    this.id = answer.hostId as string;
  }

  /** Asks for a connection; answers its URLs and keeps the token. */
  async ask(): Promise<{ connect_url: string; reconnect_url: string; token: string }> {
    const answer = await this.#post(`/api/hosts/${this.id}/connect`, { assertion: this.assertion() });
    this.token = answer.token as string;
    return answer as never;
  }

  /** A control link that is live, with this host's facts told. @param through the way there, if it is not the direct one */
  async connect(
    leases: { sessionId: string; epoch: number }[] = [],
    received = 0,
    through: (url: string) => string = (url) => url,
  ): Promise<ScriptedLink> {
    const { connect_url } = await this.ask();
    this.control = await new ScriptedLink(through(connect_url)).open();
    await this.control.handshake(this.token, { received });
    if (!this.options.silent) this.control.keepPinging();
    await this.control.acknowledged(this.control.send({ type: "facts", facts: this.facts(), leases }));
    return this.control;
  }

  /** The control link once more, with the token it has; the dial itself says what the handshake would. */
  async reconnect(leases: { sessionId: string; epoch: number }[]): Promise<ScriptedLink> {
    const { taken } = this.control;
    const url = `${this.origin.replace(/^http/, "ws")}/api/link/host/${this.id}`;
    const introduction = JSON.stringify({ ...authOf(this.token), received: taken });
    this.control = await new ScriptedLink(url, { [AUTH_HEADER]: introduction }).open();
    await this.control.handshake(this.token, { received: taken });
    this.control.keepPinging();
    await this.control.acknowledged(this.control.send({ type: "facts", facts: this.facts(), leases }));
    return this.control;
  }

  facts(): HostFacts {
    const { name = "scripted", slots = 4, vmModes = ["docker"], labels = {} } = this.options;
    const providers = this.options.providers ?? { scripted: { state: "ready" as const } };
    return { name, version: "test", platform: "test", vmModes, providers, labels, slots };
  }

  /** Takes the next assignment and opens its data link. */
  async takeAssignment(): Promise<{ assignment: Assignment; data: ScriptedLink }> {
    const { assignment } = await this.control.message<{ type: "assign"; assignment: Assignment }>("assign");
    this.control.send({ type: "assign.accept", sessionId: assignment.sessionId, epoch: assignment.epoch });
    const data = await this.dial(assignment);
    await data.handshake(this.token, { epoch: assignment.epoch });
    return { assignment, data };
  }

  /** The data link's socket, before any frame. */
  async dial(assignment: Assignment): Promise<ScriptedLink> {
    return await new ScriptedLink(this.#dataUrl(assignment)).open();
  }

  /** The data link, live; the dial itself says what the handshake would. */
  async dialIn(assignment: Assignment, received = 0): Promise<ScriptedLink> {
    const { epoch } = assignment;
    const introduction = JSON.stringify({ ...authOf(this.token, epoch), received });
    const link = await new ScriptedLink(this.#dataUrl(assignment), { [AUTH_HEADER]: introduction }).open();
    await link.handshake(this.token, { epoch, received });
    return link;
  }

  #dataUrl({ dataUrl }: Assignment): string {
    return new URL(dataUrl, this.origin.replace(/^http/, "ws")).href;
  }

  assertion(change: Record<string, unknown> = {}): string {
    const now = Math.floor(Date.now() / 1_000);
    const claims = {
      iss: this.id,
      sub: this.id,
      aud: this.origin,
      iat: now,
      exp: now + 60,
      jti: randomUUID(),
      ...change,
    };
    const body = [{ alg: "EdDSA" }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    return `${body}.${sign(null, Buffer.from(body), this.#privateKey).toString("base64url")}`;
  }

  async #post(path: string, body: unknown): Promise<Record<string, unknown>> {
    const response = await fetch(new URL(path, this.origin), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = (await response.json()) as Record<string, unknown>;
    if (!response.ok) throw new Error(`${path}: HTTP ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }
}

const authOf = (token: string, epoch?: number) => ({
  type: "auth",
  token,
  protocol: PROTOCOL_VERSION,
  ...(epoch ? { epoch } : {}),
});

/** Fails loudly instead of hanging. */
export async function within<T>(promise: Promise<T>, what: () => string, patienceMs = PATIENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${patienceMs} ms for ${what()}`)), patienceMs);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
