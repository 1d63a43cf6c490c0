/**
 * One WebSocket between a client and an object. Each direction keeps its order; delay, a cut that the two sides notice at
 * different times, and a line that is dead without saying so are the network's to choose. Pings are not sent one by one:
 * when the platform answered the last one follows from how long the line has been well.
 */
import { TIMES } from "#protocol/limits.ts";
import type { Agenda } from "./agenda.ts";
import type { Network } from "./network.ts";

export type WireClient = {
  opened(): void;
  message(text: string): void;
  closed(code: number, reason: string): void;
};
type WireServer = {
  message(socket: ServerSocket, text: string): void;
  /** The socket is over for the object, too. */
  closed(socket: ServerSocket, code: number): void;
};

const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

export class Wire {
  readonly socket: ServerSocket;
  readonly #agenda: Agenda;
  readonly #network: Network;
  readonly #client: WireClient;
  readonly #server: WireServer;
  #line: "well" | "dead" = "well";
  #clientOver = false;
  #toClientAt = 0;
  #toServerAt = 0;
  #pinging: boolean;
  #pingBase: number;
  #lastPing: number | undefined;

  constructor(agenda: Agenda, network: Network, client: WireClient, server: WireServer) {
    this.#agenda = agenda;
    this.#network = network;
    this.#client = client;
    this.#server = server;
    this.socket = new ServerSocket(this);
    this.#pingBase = agenda.now;
    this.#pinging = true;
    this.#toClient("open", () => client.opened());
  }

  get broken(): boolean {
    return this.#line === "dead" || this.socket.readyState !== OPEN || this.#clientOver;
  }

  /* ── the client's side ── */

  send(text: string): void {
    if (this.#clientOver) return;
    const deliver = () => {
      if (this.socket.readyState === OPEN) this.#server.message(this.socket, text);
    };
    this.#toServer("frame", deliver);
    // What a middle box repeats; the numbers have to catch it.
    if (text.startsWith('{"n"') && this.#network.repeats()) this.#toServer("frame again", deliver);
  }

  /** Says goodbye, or just goes: the client hears no more of it. */
  leave(code: number): void {
    if (this.#clientOver) return;
    this.#clientOver = true;
    this.pause();
    this.#toServer("close", () => this.#serverOver(code));
    if (this.#line === "dead") this.#agenda.after(this.#network.longDelayMs(), "reset", () => this.#serverOver(1006));
  }

  /** The client's machine stands still, or goes on. */
  pause(): void {
    this.#lastPing = this.lastPingAt();
    this.#pinging = false;
  }

  resume(): void {
    if (this.#clientOver || this.#line === "dead") return;
    this.#pingBase = this.#agenda.now;
    this.#lastPing = this.#agenda.now;
    this.#pinging = true;
  }

  lastPingAt(): number | undefined {
    const pings = this.#pinging ? Math.floor((this.#agenda.now - this.#pingBase) / TIMES.pingIntervalMs) : 0;
    return pings > 0 ? this.#pingBase + pings * TIMES.pingIntervalMs : this.#lastPing;
  }

  /* ── the network ── */

  /** Both sides find out, each at its own time. */
  cut(): void {
    if (this.#line === "dead") return;
    this.#die();
    this.#agenda.after(this.#network.delayMs() * 20, "server sees the cut", () => this.#serverOver(1006));
    this.#agenda.after(this.#network.delayMs() * 20, "client sees the cut", () => this.#clientClosed(1006, ""));
  }

  /** Nothing gets through and nobody is told; the client's watch over silence ends it. */
  goDark(): void {
    if (this.#line === "dead") return;
    this.#die();
    this.#agenda.after(TIMES.linkSilenceMs + this.#network.delayMs(), "client sees the silence", () =>
      this.#clientClosed(1006, ""),
    );
  }

  /** The object is gone with its memory and its sockets. */
  serverGone(): void {
    this.#die();
    this.socket.readyState = CLOSED;
    this.#agenda.after(this.#network.delayMs(), "client sees the end", () => this.#clientClosed(1006, ""));
  }

  /* ── the object's side, through its socket ── */

  fromServer(text: string): void {
    this.#toClient("frame", () => this.#client.message(text));
  }

  closeFromServer(code: number, reason: string): void {
    if (this.#line === "dead" || this.#clientOver)
      this.#agenda.after(10_000, "close times out", () => this.#serverOver(1006));
    else
      this.#toClient("close", () => {
        this.#clientClosed(code, reason);
        this.#toServer("close answered", () => this.#serverOver(code));
      });
  }

  #die(): void {
    this.pause();
    this.#line = "dead";
  }

  #serverOver(code: number): void {
    if (this.socket.over) return;
    this.socket.over = true;
    this.socket.readyState = CLOSED;
    this.#server.closed(this.socket, code);
  }

  #clientClosed(code: number, reason: string): void {
    if (this.#clientOver) return;
    this.#clientOver = true;
    this.pause();
    this.#client.closed(code, reason);
  }

  #toClient(label: string, deliver: () => void): void {
    if (this.#line === "dead") return;
    this.#toClientAt = Math.max(this.#toClientAt, this.#agenda.now + this.#network.delayMs());
    this.#agenda.after(this.#toClientAt - this.#agenda.now, `${label} ↓`, () => {
      if (this.#line === "well" && !this.#clientOver) deliver();
    });
  }

  #toServer(label: string, deliver: () => void): void {
    if (this.#line === "dead") return;
    this.#toServerAt = Math.max(this.#toServerAt, this.#agenda.now + this.#network.delayMs());
    this.#agenda.after(this.#toServerAt - this.#agenda.now, `${label} ↑`, () => {
      if (this.#line === "well") deliver();
    });
  }
}

/** What an object has of a socket: the part of the platform's WebSocket that the objects use. */
export class ServerSocket {
  readonly wire: Wire;
  readyState = OPEN;
  over = false;
  tags: string[] = [];
  #attachment = "null";

  constructor(wire: Wire) {
    this.wire = wire;
  }

  send(text: string): void {
    if (this.readyState !== OPEN) throw new TypeError("Can't call WebSocket send() after close().");
    this.wire.fromServer(text);
  }

  close(code: number, reason = ""): void {
    if (this.readyState !== OPEN) return;
    this.readyState = CLOSING;
    this.wire.closeFromServer(code, reason);
  }

  serializeAttachment(value: unknown): void {
    this.#attachment = JSON.stringify(value);
  }

  deserializeAttachment(): unknown {
    return JSON.parse(this.#attachment);
  }
}
