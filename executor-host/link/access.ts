/**
 * The host's token, shared by the control link, the data links and the store. It is renewed over the control link at
 * half of its life; when that was not possible, or it was refused, the next dial gets a new one with the host's key.
 */
import { TIMES } from "#protocol/limits.ts";
import type { Clock } from "../clock.ts";
import { type Connection, ControlRefused } from "../identity.ts";
import { LinkRefused } from "./link.ts";

/** With less than this left a token is not worth dialling with. */
const MIN_LEFT_MS = 5_000;

export class HostAccess {
  readonly #connect: () => Promise<Connection>;
  readonly #clock: Clock;
  #connection: Connection | undefined;
  #pending: Promise<Connection> | undefined;
  #ticketUsed = false;
  /** On this machine's clock. */
  #staleAt = 0;
  /** Server time minus this machine's time; unknown until the first welcome. */
  #serverOffsetMs: number | undefined;

  constructor(connect: () => Promise<Connection>, clock: Clock) {
    this.#connect = connect;
    this.#clock = clock;
  }

  /** The token as it is now, for requests that are made while links are up; empty before the first connection. */
  current(): string {
    return this.#connection?.token ?? "";
  }

  /** Milliseconds until half of the token's life is over. */
  renewInMs(): number {
    return Math.max(1_000, (this.#staleAt - this.#clock.now()) / 2);
  }

  /**
   * What to dial the control link with: the ticket URL once per connect, the plain one afterwards.
   * @param refused the last close said that the token was no good
   * @throws LinkRefused when the control plane will never let this host in
   */
  async dialControl(refused: boolean): Promise<{ url: string; token: string }> {
    const { connect_url, reconnect_url, token } = await this.#fresh(refused);
    const url = this.#ticketUsed ? reconnect_url : connect_url;
    this.#ticketUsed = true;
    return { url, token };
  }

  /** A token to dial a data link with. @throws LinkRefused */
  async token(refused: boolean): Promise<string> {
    return (await this.#fresh(refused)).token;
  }

  /** The server sent a new token over the control link; one that is older than the present one is ignored. */
  renewed(token: string, expiresAt: number): void {
    if (!this.#connection || expiresAt <= this.#connection.expires_at) return;
    this.#keep({ ...this.#connection, token, expires_at: expiresAt });
  }

  heardServerTime(serverNow: number): void {
    this.#serverOffsetMs = serverNow - this.#clock.now();
  }

  async #fresh(refused: boolean): Promise<Connection> {
    const usable = !refused && this.#clock.now() < this.#staleAt - MIN_LEFT_MS;
    if (this.#connection && usable) return this.#connection;
    // Several links may find the token stale at once: one request serves them all.
    this.#pending ??= this.#request().finally(() => {
      this.#pending = undefined;
    });
    return await this.#pending;
  }

  async #request(): Promise<Connection> {
    try {
      const connection = await this.#connect();
      // Only a host that has never been let in needs the ticket; later the token alone counts.
      if (this.#connection === undefined) this.#ticketUsed = false;
      this.#keep(connection);
      return connection;
    } catch (error) {
      if (!(error instanceof ControlRefused) || !error.terminal) throw error;
      throw new LinkRefused({ name: error.status === 403 ? "forbidden" : "gone", reason: error.message });
    }
  }

  #keep(connection: Connection): void {
    this.#connection = connection;
    const now = this.#clock.now();
    const leftMs = connection.expires_at - now - (this.#serverOffsetMs ?? 0);
    // Out of range before the first welcome only means that this machine's clock is wrong.
    this.#staleAt = now + (leftMs > 0 && leftMs <= TIMES.tokenMs ? leftMs : TIMES.tokenMs);
  }
}
