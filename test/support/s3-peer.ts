/**
 * An S3 server on loopback that is as strict as the rules we rely on: it checks every signature by itself (Signature
 * Version 4, presigned), refuses what has expired or was changed, takes an object only with a length and a checksum in signed headers,
 * and replaces nothing under `If-None-Match: *`. Faults stand in front of it.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { S3Settings } from "../../worker/store/s3-settings.ts";

type Kept = { bytes: Buffer; sha256?: string; at: number };
export type S3Call = { method: string; key: string; query: URLSearchParams; headers: IncomingMessage["headers"] };
type Answer = { status: number; headers?: Record<string, string>; body?: string | Buffer };
/** What to do instead of answering as one should; undefined: answer. `proceed` does the work and gives the answer. */
export type S3Fault = (
  call: S3Call,
  proceed: () => Answer,
) => Answer | "hang" | "cut" | { lost: Answer } | { short: Answer } | undefined;

const PAGE = 3;

export class S3Peer {
  readonly objects = new Map<string, Kept>();
  readonly calls: S3Call[] = [];
  fault: S3Fault = () => undefined;
  /** A store that knows no additional checksums. */
  keepsChecksums = true;
  readonly settings: S3Settings;
  readonly #server: Server;

  static async start(): Promise<S3Peer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new S3Peer(server);
  }

  constructor(server: Server) {
    this.#server = server;
    this.settings = {
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      bucket: "gantry-test",
      region: "eu-test-1",
      accessKeyId: "AKIDTEST",
      secretAccessKey: "a-secret-of-the-tests",
    };
    server.on("request", (request, response) => void this.#serve(request, response));
  }

  /** As the Worker's variables. */
  get variables(): Record<string, string> {
    const { endpoint, bucket, region, accessKeyId, secretAccessKey } = this.settings;
    return {
      S3_ENDPOINT: endpoint,
      S3_BUCKET: bucket,
      S3_REGION: region,
      S3_ACCESS_KEY_ID: accessKeyId,
      S3_SECRET_ACCESS_KEY: secretAccessKey,
    };
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of request) parts.push(part as Buffer);
    } catch {
      return; // The other side left.
    }
    const url = new URL(request.url ?? "/", this.settings.endpoint);
    const path = `/${this.settings.bucket}/`;
    const key = decodeURIComponent(url.pathname.slice(path.length));
    const call: S3Call = { method: request.method ?? "", key, query: url.searchParams, headers: request.headers };
    this.calls.push(call);
    const proceed = (): Answer => {
      const wrong = url.pathname.startsWith(path) ? this.#refusal(request, url) : error(404, "NoSuchBucket");
      return wrong ?? this.#answer(call, Buffer.concat(parts));
    };
    const fault = this.fault(call, proceed) ?? proceed();
    if (fault === "hang") return;
    if (fault === "cut" || "lost" in (fault as object)) return void request.socket.destroy();
    const {
      status,
      headers = {},
      body = "",
    } = "short" in (fault as object) ? (fault as { short: Answer }).short : (fault as Answer);
    const length = headers["content-length"] ?? String(Buffer.byteLength(body));
    response.writeHead(status, { ...headers, "content-length": length });
    if ("short" in (fault as object)) {
      response.write(Buffer.from(body).subarray(0, Math.floor(Buffer.byteLength(body) / 2)), () =>
        request.socket.destroy(),
      );
    } else response.end(call.method === "HEAD" ? undefined : body);
  }

  /** Signature Version 4 of a presigned request, as its documentation says. */
  #refusal(request: IncomingMessage, url: URL): Answer | undefined {
    const query = url.searchParams;
    const [id, day, region, service, end] = (query.get("X-Amz-Credential") ?? "").split("/");
    const { accessKeyId, secretAccessKey, region: ours } = this.settings;
    if (id !== accessKeyId || region !== ours || service !== "s3" || end !== "aws4_request")
      return error(403, "InvalidAccessKeyId");
    const date = query.get("X-Amz-Date") ?? "";
    const signedAt = Date.parse(date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z"));
    if (!(Date.now() < signedAt + Number(query.get("X-Amz-Expires")) * 1_000)) return error(403, "AccessDenied");
    const names = (query.get("X-Amz-SignedHeaders") ?? "").split(";");
    // Whatever changes what the request does has to be under the signature.
    const unsigned = Object.keys(request.headers).filter(
      (name) => (name.startsWith("x-amz-") || name === "if-none-match") && !names.includes(name),
    );
    if (unsigned.length > 0) return error(403, "AccessDenied");
    const canonical = [
      request.method,
      url.pathname,
      [...query]
        .filter(([name]) => name !== "X-Amz-Signature")
        .map(([name, value]) => `${encode(name)}=${encode(value)}`)
        .sort()
        .join("&"),
      ...names.map((name) => `${name}:${String(request.headers[name] ?? "").trim()}`),
      "",
      names.join(";"),
      "UNSIGNED-PAYLOAD",
    ].join("\n");
    const scope = `${day}/${region}/${service}/${end}`;
    const text = ["AWS4-HMAC-SHA256", date, scope, createHash("sha256").update(canonical).digest("hex")].join("\n");
    const key = [region, service, end].reduce(
      (last, part) => hmac(last, part ?? ""),
      hmac(`AWS4${secretAccessKey}`, day ?? ""),
    );
    const wanted = hmac(key, text);
    const given = Buffer.from(query.get("X-Amz-Signature") ?? "", "hex");
    return given.length === wanted.length && timingSafeEqual(given, wanted)
      ? undefined
      : error(403, "SignatureDoesNotMatch");
  }

  #answer({ method, key, query, headers }: S3Call, body: Buffer): Answer {
    if (method === "PUT") return this.#put(key, headers, body);
    if (method === "DELETE") {
      this.objects.delete(key);
      return { status: 204 };
    }
    if (key === "") return this.#list(query);
    const object = this.objects.get(key);
    if (object === undefined) return error(404, "NoSuchKey");
    const sum: Record<string, string> =
      headers["x-amz-checksum-mode"] === "ENABLED" && object.sha256 ? { "x-amz-checksum-sha256": object.sha256 } : {};
    if (method === "HEAD") return { status: 200, headers: { ...sum, "content-length": String(object.bytes.length) } };
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
    if (from === undefined) return { status: 200, headers: sum, body: object.bytes };
    const last = Math.min(Number(to), object.bytes.length - 1);
    const range = { "content-range": `bytes ${from}-${last}/${object.bytes.length}` };
    return { status: 206, headers: range, body: object.bytes.subarray(Number(from), last + 1) };
  }

  #put(key: string, headers: IncomingMessage["headers"], body: Buffer): Answer {
    if (headers["content-length"] === undefined) return error(411, "MissingContentLength");
    const sum = headers["x-amz-checksum-sha256"];
    if (sum === undefined) return error(400, "InvalidRequest");
    if (createHash("sha256").update(body).digest("base64") !== sum) return error(400, "BadDigest");
    if (headers["if-none-match"] === "*" && this.objects.has(key)) return error(412, "PreconditionFailed");
    this.objects.set(key, { bytes: body, at: Date.now(), ...(this.keepsChecksums ? { sha256: String(sum) } : {}) });
    return { status: 200 };
  }

  #list(query: URLSearchParams): Answer {
    const prefix = query.get("prefix") ?? "";
    const after = query.get("continuation-token") ?? "";
    const left = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const page = left.slice(0, PAGE);
    const items = page.map((key) => {
      const { at, bytes } = this.objects.get(key)!;
      const time = new Date(at).toISOString();
      return `<Contents><Key>${xml(key)}</Key><LastModified>${time}</LastModified><Size>${bytes.length}</Size></Contents>`;
    });
    const more = left.length > page.length;
    const next = more ? `<NextContinuationToken>${xml(page.at(-1) ?? "")}</NextContinuationToken>` : "";
    const body = `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>${more}</IsTruncated>${items.join("")}${next}</ListBucketResult>`;
    return { status: 200, headers: { "content-type": "application/xml" }, body };
  }
}

export function error(status: number, code: string): Answer {
  return { status, body: `<?xml version="1.0"?><Error><Code>${code}</Code></Error>` };
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

/** RFC 3986, as the signature wants it. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function xml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
