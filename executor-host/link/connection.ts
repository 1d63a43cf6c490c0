/**
 * One WebSocket of a link, from the dial to its close: the time a handshake may take, the watch over silence, frames in
 * and text out. Whoever has let go of it hears nothing of it any more.
 */
import { type ClientOptions, WebSocket } from "ws";
import { CLOSE_CODES, type CloseName, ProtocolViolation } from "#protocol/close-codes.ts";
import { LIMITS, TIMES } from "#protocol/limits.ts";
import { AUTH_HEADER, AUTH_TAKEN } from "#protocol/messages.ts";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logs.ts";
import { type Arrived, arrivedFrame } from "./frames.ts";
import { type Liveness, watchLiveness } from "./liveness.ts";

/**
 * After a close frame the peer should end the connection too. workerd leaves it open for up to half a minute when the
 * close came from an alarm (the loss of a lease, say); a host must know that at once.
 */
const CLOSE_TIMEOUT_MS = 500;

export type ConnectionNeeds = {
  url: string;
  /** What the dial itself says of the handshake, as JSON. */
  introduction: string;
  clock: Clock;
  logger: Logger;
  /** @param introduced the server took what the dial said, and goes on from there */
  opened(introduced: boolean): void;
  /** A frame of the protocol. A ProtocolViolation closes with its own code, any other throw with `internal`. */
  arrived(frame: Arrived): void;
  /** Called once, unless [Connection.letGo] came first. */
  closed(code: number, reason: string): void;
};

export class Connection {
  readonly #needs: ConnectionNeeds;
  readonly #socket: WebSocket;
  readonly #cancelDeadline: () => void;
  #liveness: Liveness | undefined;
  #letGo = false;

  /** Dials. @throws SyntaxError when the address is none */
  constructor(needs: ConnectionNeeds) {
    const { url, introduction, clock, logger } = needs;
    this.#needs = needs;
    // The types of ws do not know closeTimeout yet.
    const options: ClientOptions & { closeTimeout: number } = {
      headers: { [AUTH_HEADER]: introduction },
      perMessageDeflate: false,
      maxPayload: LIMITS.frameBytes,
      handshakeTimeout: TIMES.authDeadlineMs,
      closeTimeout: CLOSE_TIMEOUT_MS,
    };
    const socket = new WebSocket(url, options);
    this.#socket = socket;
    this.#cancelDeadline = clock.after(TIMES.authDeadlineMs, () => {
      logger.warn("the handshake took too long");
      socket.terminate();
    });
    let introduced = false;
    socket.on("upgrade", ({ headers }) => {
      introduced = headers[AUTH_HEADER] === AUTH_TAKEN;
    });
    socket.on("open", () => {
      if (!this.#letGo) this.#opened(introduced);
    });
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (!this.#letGo) this.#arrived(data, isBinary);
    });
    // A close always follows, and decides.
    socket.on("error", (error) => logger.warn({ err: error }, "connection error"));
    socket.on("close", (code, reason) => {
      if (this.#letGo) return;
      this.letGo();
      needs.closed(code, reason.toString("utf8"));
    });
  }

  /** Both sides have caught up: the handshake's time does not run any more. */
  greeted(): void {
    this.#cancelDeadline();
  }

  /** Does nothing unless the connection is open: what has to arrive is on disk and sent again. */
  write(text: string): void {
    const socket = this.#socket;
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(text, (error) => {
      if (!error) return;
      // Never a silent end of the loop: the close that follows dials again, and everything is still on disk.
      this.#needs.logger.warn({ err: error }, "a send failed");
      socket.terminate();
    });
  }

  /** Nothing of this connection is anybody's concern from here on. */
  letGo(): void {
    this.#letGo = true;
    this.#cancelDeadline();
    this.#liveness?.stop();
  }

  /** Says goodbye and lets go. */
  leave(): void {
    this.letGo();
    this.#socket.close(CLOSE_CODES.normal.code);
  }

  #opened(introduced: boolean): void {
    const { clock, logger } = this.#needs;
    this.#liveness = watchLiveness(
      clock,
      () => this.write("ping"),
      () => {
        logger.warn("the connection is silent, dialling again");
        this.#socket.terminate();
      },
    );
    this.#needs.opened(introduced);
  }

  #arrived(data: Buffer, isBinary: boolean): void {
    this.#liveness?.heard();
    if (!isBinary && data.length === 4 && data.toString("utf8") === "pong") return;
    try {
      this.#needs.arrived(arrivedFrame(data, isBinary));
    } catch (error) {
      if (error instanceof ProtocolViolation) {
        this.#needs.logger.warn({ err: error, close: error.close }, "the server broke the protocol");
        this.#refuse(error.close);
      } else {
        this.#needs.logger.error({ err: error }, "a frame could not be handled");
        this.#refuse("internal");
      }
    }
  }

  #refuse(close: CloseName): void {
    this.#socket.close(CLOSE_CODES[close].code, close);
  }
}
