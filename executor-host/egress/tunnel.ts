/**
 * One CONNECT. The name is resolved once, every address it has must be public, and the address that was checked is the
 * one that is dialled: a name that changes its mind in between (DNS rebinding) gains nothing.
 */
import { lookup } from "node:dns/promises";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { isPublicAddress, ownAddresses } from "./addresses.ts";
import type { Traffic } from "./forward.ts";
import { type Denial, denied } from "./policy.ts";
import { deniedRefusal, refuseConnect, unreachableRefusal } from "./refusals.ts";

const dialTimeoutMs = 30_000;

/** The network, as far as a tunnel needs it. */
export type TunnelNeeds = {
  /** All addresses of a name. Rejects when it has none. */
  resolve: (host: string) => Promise<readonly string[]>;
  /** A socket that is connecting. */
  dial: (address: string, port: number) => Socket;
  ownAddresses: () => ReadonlySet<string>;
};

export const realNetwork: TunnelNeeds = {
  resolve: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
  dial: (address, port) => connectTcp({ host: address, port }),
  ownAddresses,
};

export type TunnelOutcome =
  | { outcome: "completed" }
  | { outcome: "denied"; denial: Denial }
  | { outcome: "upstream_failed"; error: string };

/**
 * Resolves when the tunnel is over, whichever way; `client` is ended by then.
 * @param head what the worker sent behind its CONNECT
 */
export async function tunnel(
  { host, port }: { host: string; port: number },
  client: Duplex,
  head: Buffer,
  needs: TunnelNeeds,
  traffic: Traffic,
): Promise<TunnelOutcome> {
  const gone = new Promise<void>((resolve) => client.once("close", () => resolve()));
  const checked = await checkedAddress(host, needs);
  if (checked.kind === "denied") {
    refuseConnect(client, deniedRefusal(checked));
    return { outcome: "denied", denial: checked };
  }
  const remote =
    checked.kind === "address" && !client.destroyed ? await dialled(needs, checked.address, port) : undefined;
  if (!remote) {
    refuseConnect(client, unreachableRefusal(`${host}:${port} could not be reached.`));
    return { outcome: "upstream_failed", error: checked.kind === "unknown" ? "no such name" : "no connection" };
  }
  const ended = new Promise<void>((resolve) => remote.once("close", () => resolve()));
  remote.on("error", () => remote.destroy());
  if (client.destroyed) remote.destroy();
  void gone.then(() => remote.destroy());
  // What the far side said last may still be on its way to the worker.
  void ended.then(() => client.end(() => client.destroy()));

  client.write("HTTP/1.1 200 Connection established\r\n\r\n");
  if (head.length > 0) remote.write(head);
  // The worker's end is the tunnel's end, once what it said has gone out: on a Unix socket a hang-up looks like a half-close,
  // and a far side that says nothing would hold the tunnel for ever.
  remote.once("finish", () => remote.destroy());
  client.pipe(remote);
  remote.pipe(client);
  await Promise.all([gone, ended]);
  traffic.bytesUp += remote.bytesWritten;
  traffic.bytesDown += remote.bytesRead;
  return { outcome: "completed" };
}

type Checked = { kind: "address"; address: string } | { kind: "unknown" } | Denial;

async function checkedAddress(host: string, needs: TunnelNeeds): Promise<Checked> {
  const addresses = isIP(host) ? [host] : await needs.resolve(host).catch(() => []);
  const [first] = addresses;
  if (first === undefined) return { kind: "unknown" };
  const own = needs.ownAddresses();
  if (addresses.every((address) => isPublicAddress(address) && !own.has(address)))
    return { kind: "address", address: first };
  return denied("private_address", `${host} leads to an address that is not on the public internet.`);
}

/** The connected socket; undefined when nobody takes the connection. */
function dialled(needs: TunnelNeeds, address: string, port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = needs.dial(address, port);
    const late = setTimeout(() => socket.destroy(), dialTimeoutMs);
    socket.on("error", () => socket.destroy());
    socket.once("connect", () => {
      clearTimeout(late);
      resolve(socket);
    });
    socket.once("close", () => {
      clearTimeout(late);
      resolve(undefined);
    });
  });
}
