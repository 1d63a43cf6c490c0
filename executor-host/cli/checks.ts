/** The checks of `gantry host doctor`. Each answers one line: ok, warn or fail, with one thing to do about it. */
import { accessSync, constants, mkdirSync } from "node:fs";
import { WebSocket } from "ws";
import { TIMES } from "#protocol/limits.ts";
import type { Environment, HostIdentity, Settings, StatePaths } from "../config.ts";
import { ensureImage, ImageUnavailable } from "../container/base-image.ts";
import { DockerEngine } from "../container/docker.ts";
import { RUNNER_SOCKET, socketPath } from "../container/socket-path.ts";
import { Database } from "../database.ts";
import { upstreamsFrom } from "../egress/credentials.ts";
import { ensureEncryptionKey } from "../encryption-key.ts";
import { readHostKey } from "../host-key.ts";
import { type Connection, ControlRefused, connectHost } from "../identity.ts";
import { createOutboxTables, outboxBacklog } from "../link/outbox.ts";
import { runningDaemon } from "../local-api.ts";
import { ownKeys } from "../local-credentials/read.ts";
import { providerReadiness } from "../providers.ts";
import { whyBroken } from "../toolkit/cli-health.ts";

export type CheckResult = { name: string; result: "ok" | "warn" | "fail"; detail: string; fix?: string };

const SKEW_WARN_MS = 5_000;
/** Half of an assertion's life: beyond it a second try with the server's time is needed each time. */
const SKEW_FAIL_MS = 5 * 60_000;
/** Whoever runs a check waits for it; the daemon has more patience. */
const IMAGE_PULL_MS = 60_000;
const BACKLOG_WARN = 1_000;
/** A session id's length, for the paths that will be made. */
const EXAMPLE_SESSION = "ses_00000000000000000000";

export function checkNode(): CheckResult {
  const name = "node";
  const version = process.versions.node;
  if (Number(version.split(".")[0]) >= 24) return { name, result: "ok", detail: version };
  return { name, result: "fail", detail: `${version}, 24 is needed`, fix: "Run npm install: it brings Node 24 along." };
}

export function checkState(paths: StatePaths): CheckResult {
  const name = "state folder";
  try {
    mkdirSync(paths.root, { recursive: true, mode: 0o700 });
    accessSync(paths.root, constants.R_OK | constants.W_OK | constants.X_OK);
    socketPath(`${paths.run}/${EXAMPLE_SESSION}`, RUNNER_SOCKET);
    return { name, result: "ok", detail: paths.root };
  } catch (error) {
    return { name, result: "fail", detail: messageOf(error), fix: "Choose another, short one: --state DIR" };
  }
}

export async function checkDocker(settings: Settings): Promise<CheckResult> {
  const name = "docker";
  const engine = await new DockerEngine().available();
  if (engine.ok) return { name, result: "ok", detail: engine.version };
  const { reason, fix } = engine;
  if (settings.allowProcessMode) return { name, result: "warn", detail: `${reason} Process mode is allowed.`, fix };
  return { name, result: "fail", detail: reason, fix };
}

/** Gets or makes the image as the daemon would. Only worth asking when the engine answers. */
export async function checkImage(settings: Settings, log: (line: string) => void): Promise<CheckResult> {
  const name = "image";
  try {
    const { images } = new DockerEngine();
    const { image, note } = await ensureImage(settings.image, { images, log, namedPullMs: IMAGE_PULL_MS });
    return { name, result: "ok", detail: note === undefined ? image : `${image}. ${note}` };
  } catch (error) {
    const fix = error instanceof ImageUnavailable ? error.fix : "Look at the engine: docker info";
    return { name, result: settings.allowProcessMode ? "warn" : "fail", detail: messageOf(error), fix };
  }
}

export async function checkToolkit(paths: StatePaths, env: Environment): Promise<CheckResult[]> {
  const providers = await providerReadiness(
    paths,
    upstreamsFrom(env, [], ownKeys(paths, env, Date.now())),
    [],
    whyBroken,
  );
  return Object.entries(providers).map(([provider, { state, version, reason, fix }]) => ({
    name: `provider ${provider}`,
    result: state === "ready" ? "ok" : "warn",
    detail: reason ?? version ?? state,
    ...(fix ? { fix } : {}),
  }));
}

export function checkOutbox(paths: StatePaths): CheckResult {
  const name = "outbox";
  try {
    const database = new Database(paths.database);
    createOutboxTables(database);
    const { messages, bytes } = outboxBacklog(database);
    database.close();
    const detail = `${messages} messages, ${bytes} bytes wait for the control plane`;
    if (messages < BACKLOG_WARN) return { name, result: "ok", detail };
    return { name, result: "warn", detail, fix: "Check that the daemon runs and is connected: gantry host status" };
  } catch (error) {
    return { name, result: "fail", detail: messageOf(error), fix: `Check the disk that holds ${paths.root}.` };
  }
}

export function checkDaemon(paths: StatePaths): CheckResult {
  const daemon = runningDaemon(paths);
  if (daemon) return { name: "daemon", result: "ok", detail: `process ${daemon.pid}` };
  return { name: "daemon", result: "warn", detail: "not running", fix: "gantry host run" };
}

export function checkJoined(identity: HostIdentity | undefined): CheckResult {
  const name = "joined";
  if (identity)
    return { name, result: "ok", detail: `${identity.controlUrl} as ${identity.name} (${identity.hostId})` };
  return { name, result: "fail", detail: "this folder has not joined a control plane", fix: "gantry host join <url>" };
}

/** Clock, key and WebSocket, against the control plane itself. The socket never authenticates: a running daemon keeps its link. */
export async function checkControlPlane(paths: StatePaths, identity: HostIdentity): Promise<CheckResult[]> {
  const sentAt = Date.now();
  let connection: Connection;
  try {
    const [key, { publicKey }] = await Promise.all([readHostKey(paths), ensureEncryptionKey(paths)]);
    connection = await connectHost(identity, { key, encryptionKey: publicKey }, { fetch, now: Date.now });
  } catch (error) {
    const known = error instanceof ControlRefused && error.terminal;
    const fix = known ? `gantry host join ${identity.controlUrl}` : `Check that ${identity.controlUrl} can be reached.`;
    return [{ name: "key", result: "fail", detail: messageOf(error), fix }];
  }
  const key: CheckResult = { name: "key", result: "ok", detail: "the control plane knows this host" };
  return [key, checkClock(connection, sentAt), await checkSocket(connection)];
}

/** A fresh token's end tells the server's time; it is good for TIMES.tokenMs from now. */
function checkClock({ expires_at }: Connection, sentAt: number): CheckResult {
  const name = "clock";
  const skewMs = Math.abs(expires_at - TIMES.tokenMs - (sentAt + Date.now()) / 2);
  const detail = `${(skewMs / 1_000).toFixed(1)} s away from the control plane`;
  const fix = "Switch time synchronisation on (timedatectl set-ntp true).";
  if (skewMs > SKEW_FAIL_MS) return { name, result: "fail", detail, fix };
  return skewMs > SKEW_WARN_MS ? { name, result: "warn", detail, fix } : { name, result: "ok", detail };
}

/** Dials and waits for the answer to a ping, which the platform gives to anybody. */
function checkSocket({ connect_url }: Connection): Promise<CheckResult> {
  const name = "websocket";
  const fix = "Let WebSockets to the control plane pass the firewall or proxy (outbound 443).";
  return new Promise((resolve) => {
    const socket = new WebSocket(connect_url, { handshakeTimeout: TIMES.authDeadlineMs, perMessageDeflate: false });
    const end = (result: CheckResult) => {
      clearTimeout(timer);
      socket.terminate();
      resolve(result);
    };
    const timer = setTimeout(
      () => end({ name, result: "fail", detail: "no answer to a ping", fix }),
      TIMES.authDeadlineMs,
    );
    let sentAt = 0;
    socket.on("open", () => {
      sentAt = performance.now();
      socket.send("ping");
    });
    socket.on("message", (data) => {
      if (data.toString() !== "pong") return;
      end({ name, result: "ok", detail: `round trip ${Math.round(performance.now() - sentAt)} ms` });
    });
    socket.on("error", (error) => end({ name, result: "fail", detail: error.message, fix }));
  });
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
