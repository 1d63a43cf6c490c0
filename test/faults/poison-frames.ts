/** Frames that should not be: they close their own socket, nothing of them is stored, and nobody else notices. */
import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import type { WebSocket } from "ws";
import { LIMITS } from "#protocol/limits.ts";
import type { Random } from "../fuzz/random.ts";
import { Page } from "../support/live-session.ts";
import { type ScriptedHost, ScriptedLink, within } from "../support/scripted-host.ts";
import type { Fault } from "./fault.ts";
import { leave, numbered, Pool, type Running } from "./pool.ts";

/** Rows of the close table, and what the platform itself says to bytes that are no UTF-8 or no frame. */
const CLOSES: readonly number[] = [4400, 4413, 1002, 1007];

const KINDS: Record<string, (socket: WebSocket, random: Random, place: Place) => void> = {
  garbage: (socket, random) => {
    const letters = Array.from({ length: random.int(1, 200) }, () => String.fromCharCode(random.int(1, 0xd7ff)));
    socket.send(letters.join(""));
  },
  truncated: (socket) => socket.send('{"n":1,"ack":0,"message":{"type":"run.eve'),
  "wrong types": (socket, _random, place) =>
    socket.send(place === "viewer" ? '{"type":"prompt","id":7,"prompt":[]}' : '{"n":"1","ack":[],"message":{}}'),
  "out of range": (socket, random, place) => {
    const n = random.pick(["-1", "1.5", "1e400", "9007199254740993", "null"]);
    socket.send(place === "viewer" ? `{"type":"ack","cursor":${n}}` : `{"n":${n},"ack":0,"message":{}}`);
  },
  "never sent": (socket, _random, place) =>
    socket.send(place === "viewer" ? '{"type":"ack","cursor":900719925474}' : '{"ack":900719925474}'),
  "no frame": (socket) => socket.send('{"hello":true}'),
  "unknown type": (socket) => socket.send('{"type":"__proto__","id":"cmd_00000000000000000000","constructor":{}}'),
  empty: (socket) => socket.send(""),
  deep: (socket, random) => {
    const levels = random.int(LIMITS.jsonDepth + 2, 100_000);
    socket.send(`{"n":1,"ack":0,"message":${"[".repeat(levels)}${"]".repeat(levels)}}`);
  },
  oversize: (socket, random) => socket.send(`{"message":"${"x".repeat(LIMITS.frameBytes + random.int(0, 99_999))}"}`),
  binary: (socket, random) =>
    socket.send(Buffer.from(Array.from({ length: random.int(1, 500) }, () => random.int(0, 255)))),
  "not UTF-8": (socket) => textFrame(socket, Buffer.from([0x22, 0xc3, 0x28, 0xff, 0xfe, 0x22])),
};
const PLACES = ["control", "control before auth", "data", "data before auth", "viewer"] as const;

export const poisonFrames: Fault = {
  name: "poison-frames",
  how: `${Object.keys(KINDS).join(", ")} on ${PLACES.join(", ")} sockets: each closes its own socket, nothing of it is stored, another session goes on meanwhile, and who sent it comes back and goes on`,
  trials: { long: Object.keys(KINDS).length * PLACES.length * 2, short: 5 },
  async open() {
    const pool = await Pool.open();
    const host = await pool.host();
    const spare = await pool.host({ slots: 0 });
    const bystander = await pool.running(host);
    let heard = 0;
    return {
      async trial(random, index) {
        const violations: string[] = [];
        const place = PLACES[index % PLACES.length] as Place;
        const kind = Object.keys(KINDS)[Math.floor(index / PLACES.length) % Object.keys(KINDS).length] as string;
        const victim = await pool.running(host);
        const before = victim.page.view.cursor;
        const { link, back } = await socketAt(place, pool, victim, spare);
        KINDS[kind]?.(link.socket, random, place);
        const { code } = await within(link.closed, () => `${kind} to close ${place}`);
        const began = performance.now();
        await back();
        const recoveryMs = performance.now() - began;
        await bystander.mouth.told({ type: "run.events", runId: bystander.runId, events: [numbered(++heard)] });
        await victim.mouth.told({ type: "run.events", runId: victim.runId, events: [numbered(1)] });
        await victim.page.until("the next event", (view) => view.cursor > before);
        if (!CLOSES.includes(code)) violations.push(`${kind} on ${place} was closed with ${code}`);
        if (victim.page.view.cursor !== before + 1) violations.push(`${kind} on ${place} left something in the log`);
        await leave(victim);
        return { violations, recoveryMs };
      },
      dispose: () => pool.dispose(),
    };
  },
};

type Place = (typeof PLACES)[number];
type Target = { link: Pick<ScriptedLink, "socket" | "closed">; back: () => Promise<unknown> };

/** The socket that gets it, and how its owner comes back. */
async function socketAt(place: Place, pool: Pool, victim: Running, spare: ScriptedHost): Promise<Target> {
  const { mouth, page, sessionId } = victim;
  switch (place) {
    case "data":
      return { link: mouth.link, back: () => mouth.resume() };
    case "data before auth":
      return { link: await mouth.host.dial(victim.assignment), back: async () => undefined };
    case "control":
      return { link: spare.control, back: () => spare.connect([], spare.control.taken) };
    case "control before auth":
      return { link: await new ScriptedLink((await spare.ask()).connect_url).open(), back: async () => undefined };
    case "viewer":
      return {
        link: await Page.open(pool.plane, sessionId),
        back: () => Page.open(pool.plane, sessionId, page.view.cursor),
      };
  }
}

/** A text frame of these bytes, which `ws` would not send: it checks them. */
function textFrame(socket: WebSocket, bytes: Buffer): void {
  const mask = randomBytes(4);
  const masked = bytes.map((byte, index) => byte ^ (mask[index % 4] as number));
  const { _socket: tcp } = socket as unknown as { _socket: { write(bytes: Buffer): void } };
  tcp.write(Buffer.concat([Buffer.from([0x81, 0x80 | bytes.length]), mask, masked]));
}
