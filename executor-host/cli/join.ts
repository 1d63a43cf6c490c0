/**
 * `gantry host join <url>`: makes the key pair, trades the join token for a host id, writes host.json. The token is not
 * kept. With the same key the control plane answers the same host, so joining again is harmless, also after the host was
 * deleted there.
 */
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { type HostIdentity, readIdentity, stateDirFrom, statePaths, writeIdentity } from "../config.ts";
import { ensureEncryptionKey } from "../encryption-key.ts";
import { ensureHostKey } from "../host-key.ts";
import { ControlRefused, type JoinAnswer, joinHost } from "../identity.ts";
import { CommandFailed, say } from "./output.ts";

export type JoinOptions = {
  token?: string;
  name?: string;
  label: Record<string, string>;
  force: boolean;
  state?: string;
};

export async function joinCommand(url: string, options: JoinOptions): Promise<void> {
  const controlUrl = originOf(url);
  const paths = statePaths(stateDirFrom(options.state, process.env));
  const known = readIdentity(paths);
  if (known && known.controlUrl !== controlUrl && !options.force && !isLoopback(known.controlUrl)) {
    throw new CommandFailed(
      `${paths.root} belongs to ${known.controlUrl}. Use --force to forget it, or another folder with --state.`,
    );
  }
  // Nobody is asked: a registration that the server has lost must not lock the operator out.
  if (options.force) for (const file of [paths.key, paths.encryptionKey]) rmSync(file, { force: true });
  const key = await ensureHostKey(paths);
  await ensureEncryptionKey(paths);
  const name = options.name ?? known?.name ?? hostname();
  const joinToken = await readToken(options.token, process.env.GANTRY_JOIN_TOKEN);
  const answer = await join({ controlUrl, joinToken, publicKey: key.publicKey, name });
  const labels = Object.keys(options.label).length > 0 ? options.label : (known?.labels ?? {});
  const installationId = (options.force ? undefined : known?.installationId) ?? randomUUID();
  const identity: HostIdentity = { ...answer, controlUrl, name, installationId, labels };
  writeIdentity(paths, identity);
  const again = known?.hostId === answer.hostId && known.controlUrl === controlUrl;
  say(`${again ? "Still" : "Joined"} ${controlUrl} as ${name} (${answer.hostId}, pool ${answer.pool}).`);
  say(`Next, in this checkout: npx gantry host run${options.state ? ` --state ${options.state}` : ""}`);
}

async function join(input: Parameters<typeof joinHost>[0]): Promise<JoinAnswer> {
  try {
    return await joinHost(input, { fetch, now: Date.now });
  } catch (error) {
    if (error instanceof ControlRefused)
      throw new CommandFailed(`${input.controlUrl} refused: ${error.message} (${error.reason})`);
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw new CommandFailed(`${input.controlUrl} cannot be reached: ${cause}`);
  }
}

function originOf(text: string): string {
  const url = URL.parse(text.includes("://") ? text : `https://${text}`);
  if (!url || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new CommandFailed(`"${text}" is no address of a control plane`, 2);
  }
  if (url.protocol === "http:" && !isLoopback(url.origin)) {
    throw new CommandFailed(`${url.origin} is not encrypted; use https:// (http:// is for this machine only)`, 2);
  }
  return url.origin;
}

/** A control plane on this machine moves between ports; that it is another one is not worth a question. */
function isLoopback(origin: string): boolean {
  const { hostname: name } = new URL(origin);
  return name === "localhost" || name === "[::1]" || name.startsWith("127.") || name.endsWith(".localhost");
}

async function readToken(option: string | undefined, fromEnv: string | undefined): Promise<string> {
  const text =
    option === "-" ? await readStdin() : option && existsSync(option) ? readFileSync(option, "utf8") : option;
  const token = (text ?? fromEnv ?? "").trim();
  if (token !== "") return token;
  throw new CommandFailed("a join token is needed: --token, or GANTRY_JOIN_TOKEN. Hosts → Add host shows one.", 2);
}

async function readStdin(): Promise<string> {
  let text = "";
  for await (const chunk of process.stdin) text += chunk;
  return text;
}
