/**
 * Which IP addresses a worker may be let through to: those of the public internet. Everything else is refused whatever name
 * led there: this machine, its network, cloud metadata, multicast.
 *
 * Sources: IANA IPv4 Special-Purpose Address Registry; IANA IPv6 Global Unicast allocations (2000::/3) less the
 * special-purpose blocks inside it. IPv6 forms that carry an IPv4 address (mapped, NAT64, 6to4, Teredo) all fall outside
 * or are listed, so none of them smuggles a private one.
 */
import { lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { networkInterfaces } from "node:os";

const closedV4: readonly [string, number][] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
  // Azure's wire server: a metadata address in public space.
  ["168.63.129.16", 32],
];
const closedV6: readonly [string, number][] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];

const closed = new BlockList();
for (const [network, prefix] of closedV4) closed.addSubnet(network, prefix, "ipv4");
for (const [network, prefix] of closedV6) closed.addSubnet(network, prefix, "ipv6");
const global = new BlockList();
global.addSubnet("2000::", 3, "ipv6");

/** False also for what is no IP address, and for an address with a zone. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !closed.check(address, "ipv4");
    case 6:
      return !address.includes("%") && global.check(address, "ipv6") && !closed.check(address, "ipv6");
    default:
      return false;
  }
}

/** A resolver that knows public addresses alone: a name with any other fails with the code `EPRIVATE`. */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, found) => {
    if (error) return callback(error, []);
    const own = ownAddresses();
    const [first] = found;
    if (!first || found.some(({ address }) => !isPublicAddress(address) || own.has(address)))
      return callback(Object.assign(new Error("not a public address"), { code: "EPRIVATE" }), []);
    return options.all ? callback(null, found) : callback(null, first.address, first.family);
  });
};

/** This machine's own addresses: a public one of them would lead straight back to what runs here. */
export function ownAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)));
}
