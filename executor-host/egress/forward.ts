/**
 * One request to a provider: bytes go through as they come, in both directions, with the receiver's pace. Either side's
 * end is the other side's end. There is no limit on how long an answer may take, only on how long dialling may.
 */
import { type Agent, type IncomingMessage, request as requestHttp, type ServerResponse } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP } from "node:net";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { isPublicAddress, publicLookup } from "./addresses.ts";
import type { ReadyUpstream } from "./credentials.ts";
import { upstreamHeaders, workerHeaders } from "./headers.ts";
import { refuse, upstreamRefusal } from "./refusals.ts";

const dialTimeoutMs = 30_000;

export type Traffic = { bytesUp: number; bytesDown: number };
export type ForwardOutcome = "completed" | "client_gone" | "upstream_failed";

/**
 * Resolves when the request is over, whichever way.
 * @param traffic counted up while it runs
 */
export async function forward(
  { upstream, url }: { upstream: ReadyUpstream; url: URL },
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  agent: Agent,
  traffic: Traffic,
): Promise<{ outcome: ForwardOutcome; error?: string }> {
  // Node asks no resolver about an address.
  const literal = url.hostname.replace(/^\[|\]$/g, "");
  if (upstream.publicOnly && isIP(literal) && !isPublicAddress(literal)) {
    refuse(outgoing, upstreamRefusal(upstream.vendor, `${url.host} is not on the public internet.`));
    return { outcome: "upstream_failed", error: "EPRIVATE" };
  }
  const send = url.protocol === "https:" ? requestHttps : requestHttp;
  const asking = send(url, {
    method: incoming.method,
    headers: upstreamHeaders(incoming.headers, upstream.keyHeaders()),
    agent,
    ...(upstream.publicOnly ? { lookup: publicLookup } : {}),
  });
  limitDialling(asking);
  // Whoever ends first is the cause; the other side's end follows from it.
  let cause: "client_gone" | "upstream_failed" | undefined;
  const clientGone = () => {
    cause ??= "client_gone";
    // What the provider would still say costs money and reaches nobody.
    asking.destroy();
  };
  const upstreamFailed = () => {
    cause ??= "upstream_failed";
  };
  outgoing.once("close", clientGone);
  incoming.once("error", clientGone);
  asking.on("error", upstreamFailed);
  const up = counter((bytes) => {
    traffic.bytesUp += bytes;
  });
  const down = counter((bytes) => {
    traffic.bytesDown += bytes;
  });
  try {
    const answered = answerTo(asking);
    // Not pipeline(): when the provider cannot be reached it would end the worker's connection, too, and nobody could say why.
    incoming.pipe(up).pipe(asking);
    const answer = await answered;
    answer.once("error", upstreamFailed);
    outgoing.sendDate = false;
    outgoing.writeHead(answer.statusCode ?? 502, workerHeaders(answer.headersDistinct));
    outgoing.flushHeaders();
    await pipeline(answer, down, outgoing);
    return { outcome: "completed" };
  } catch (error) {
    asking.destroy();
    if (cause === "client_gone") return { outcome: "client_gone" };
    const why = codeOf(error);
    if (outgoing.headersSent) outgoing.destroy();
    else refuse(outgoing, upstreamRefusal(upstream.vendor, `${url.host} could not be asked (${why}).`));
    return { outcome: "upstream_failed", error: why };
  } finally {
    // A provider may answer before it has read everything; the rest must not stand in the way of the next request.
    incoming.unpipe(up);
    incoming.resume();
  }
}

function answerTo(asking: ReturnType<typeof requestHttp>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    asking.once("response", resolve);
    asking.once("close", () => reject(new Error("closed")));
    // Stays: a second error, after the answer has begun, is also told by the answer's own stream.
    asking.on("error", reject);
  });
}

function limitDialling(asking: ReturnType<typeof requestHttp>): void {
  asking.once("socket", (socket) => {
    if (!socket.connecting) return;
    const late = setTimeout(
      () => asking.destroy(Object.assign(new Error("dialling took too long"), { code: "ETIMEDOUT" })),
      dialTimeoutMs,
    );
    for (const event of ["connect", "close"]) socket.once(event, () => clearTimeout(late));
  });
}

function counter(count: (bytes: number) => void): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      count(chunk.length);
      done(null, chunk);
    },
  });
}

/** A short code, never the message: Node puts header values into some of them. */
function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "connection closed";
}
