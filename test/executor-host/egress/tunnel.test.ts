import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { EgressLine } from "../../../executor-host/egress/exits.ts";
import type { NetworkPolicy } from "../../../executor-host/egress/policy.ts";
import { type EgressProxy, startEgressProxy } from "../../../executor-host/egress/proxy.ts";
import { connectThrough } from "../../support/proxy-client.ts";

const publicAddress = "93.184.216.34";

describe("CONNECT through the egress proxy", () => {
  let dir: string;
  let remote: Server;
  let accepted: Socket[];
  let proxy: EgressProxy;
  let policy: NetworkPolicy;
  let lines: EgressLine[];
  /** The internet: names and their addresses. Whatever is dialled ends at `remote` on loopback. */
  let names: Record<string, string[]>;
  const dialled = vi.fn<(address: string, port: number) => void>();
  const resolved = vi.fn<(name: string) => void>();

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "gantry-"));
    accepted = [];
    lines = [];
    policy = { mode: "open" };
    names = { "site.example": [publicAddress] };
    dialled.mockClear();
    resolved.mockClear();
    remote = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      accepted.push(socket);
    });
    await new Promise<void>((resolve) => remote.listen(0, "127.0.0.1", resolve));
    const { port } = remote.address() as AddressInfo;
    proxy = await startEgressProxy({
      sessionId: "ses_1",
      egressDir: dir,
      policy: () => policy,
      upstreams: () => new Map(),
      log: { info: (line) => lines.push(line), error: (line) => expect.unreachable(line.error) },
      network: {
        resolve: async (name) => {
          resolved(name);
          const addresses = names[name];
          if (!addresses) throw new Error("ENOTFOUND");
          return addresses;
        },
        dial: (address, wantedPort) => {
          dialled(address, wantedPort);
          return connect({ host: "127.0.0.1", port });
        },
        ownAddresses: () => new Set(["8.8.4.4"]),
      },
    });
  });
  afterEach(async () => {
    await proxy.close();
    for (const socket of accepted) socket.destroy();
    remote.close();
    await rm(dir, { recursive: true, force: true });
  });
  const settled = async () => {
    while (proxy.stats().active > 0) await new Promise(setImmediate);
  };

  test("bytes pass both ways, and each side's end is passed on", async () => {
    const incoming = once(remote, "connection");
    const { status, socket } = await connectThrough(proxy.socketPath, "site.example:443");
    expect(status).toBe(200);
    const [far] = (await incoming) as [Socket];
    socket.write("question");
    expect(String((await once(far, "data"))[0])).toBe("question");
    far.end("answer");
    expect(String((await once(socket, "data"))[0])).toBe("answer");
    socket.end();
    await once(socket, "close");
    await settled();
    expect(dialled.mock.calls).toEqual([[publicAddress, 443]]);
    expect(lines).toMatchObject([{ outcome: "completed", target: "site.example:443", bytesUp: 8, bytesDown: 6 }]);
  });

  test("a far side that says much and ends at once is heard to the end", async () => {
    const incoming = once(remote, "connection");
    const { socket } = await connectThrough(proxy.socketPath, "site.example:443");
    const [far] = (await incoming) as [Socket];
    const much = Buffer.alloc(8 * 1024 * 1024, "x");
    far.resume().end(much);
    let bytes = 0;
    for await (const chunk of socket) bytes += chunk.length;
    expect(bytes).toBe(much.length);
  });

  test("a worker that hangs up ends the tunnel, also when the far side says nothing", async () => {
    const incoming = once(remote, "connection");
    const { socket } = await connectThrough(proxy.socketPath, "site.example:443");
    const [far] = (await incoming) as [Socket];
    far.resume();
    const ended = once(far, "end");
    socket.destroy();
    await ended;
    await settled();
    expect(proxy.stats().active).toBe(0);
  });

  test.each([
    ["a private address", "10.0.0.8"],
    ["cloud metadata", "169.254.169.254"],
    ["loopback", "127.0.0.1"],
    ["IPv6 loopback", "::1"],
    ["this machine's own public address", "8.8.4.4"],
  ])("a name that leads to %s is refused under every policy, and so is the bare address", async (_what, address) => {
    names["site.example"] = [publicAddress, address];
    const authorities = ["site.example:443", address.includes(":") ? `[${address}]:443` : `${address}:443`];
    for (policy of [{ mode: "open" }, { mode: "allowlist", hosts: ["site.example", address] }] as const) {
      for (const authority of authorities) {
        const { status, text } = await connectThrough(proxy.socketPath, authority);
        expect([authority, status]).toEqual([authority, 403]);
        expect(JSON.parse(await text())).toMatchObject({ reason: "egress_denied" });
      }
    }
    expect(dialled).not.toHaveBeenCalled();
  });

  test("a name is asked for once, and what was checked is what is dialled", async () => {
    const { socket } = await connectThrough(proxy.socketPath, "site.example:443");
    socket.destroy();
    await settled();
    expect(resolved.mock.calls).toEqual([["site.example"]]);
    expect(dialled.mock.calls).toEqual([[publicAddress, 443]]);
  });

  test.each<[NetworkPolicy, string]>([
    [{ mode: "none" }, "policy"],
    [{ mode: "providers" }, "policy"],
    [{ mode: "allowlist", hosts: ["other.example"] }, "not_listed"],
  ])("%o refuses before any name is asked for", async (denying, rule) => {
    policy = denying;
    const { status, text } = await connectThrough(proxy.socketPath, "site.example:443");
    expect(status).toBe(403);
    expect(JSON.parse(await text())).toMatchObject({ ok: false, reason: "egress_denied", details: { rule } });
    expect(resolved).not.toHaveBeenCalled();
    expect(lines).toMatchObject([{ method: "CONNECT", outcome: "denied", rule }]);
  });

  test("a name that nobody knows, and a host that takes no connection, are unreachable", async () => {
    expect((await connectThrough(proxy.socketPath, "nobody.example:443")).status).toBe(502);
    remote.close();
    await once(remote, "close");
    const { status, text } = await connectThrough(proxy.socketPath, "site.example:443");
    expect(status).toBe(502);
    expect(JSON.parse(await text())).toMatchObject({ reason: "upstream_unreachable" });
  });

  test("closing the proxy ends the tunnels", async () => {
    const incoming = once(remote, "connection");
    const { socket } = await connectThrough(proxy.socketPath, "site.example:443");
    const [far] = (await incoming) as [Socket];
    far.resume();
    const ends = [once(socket, "close"), once(far, "end")];
    socket.resume();
    await proxy.close();
    await Promise.all(ends);
  });
});
