/**
 * An S3-compatible bucket as ObjectStore, and as a store that hosts reach themselves with presigned requests.
 *
 * Everything is a presigned request: the one that a host gets and the one that is used here are made by the same lines.
 * A write has its length and its SHA-256 in signed *headers* (in the query not every store keeps the checksum), and
 * `If-None-Match: *`, so that nothing is ever replaced. Loaded only where it is configured (open-store.ts).
 */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { sha256 as sha256Of } from "./manifest-bytes.ts";
import {
  type ByteRange,
  type DirectAccess,
  type ListInput,
  type Listing,
  type ObjectBody,
  type ObjectStore,
  type PresignedRequest,
  type PutBody,
  type PutOutcome,
  type StoredObject,
  StoreUnavailable,
} from "./object-store.ts";
import { readListing } from "./s3-listing.ts";
import type { S3Settings } from "./s3-settings.ts";

/** Life of a presigned request: whoever has it may use it, so no longer than a slow start needs. */
const PRESIGNED_S = 60;
/** Tries of a request that can be made again, and the pauses before the second and the third. */
const PAUSES_MS = [200, 1_000];
/** One try. A range of a pack is at most 4 MiB, a whole pack 48 MiB. */
const REQUEST_MS = 30_000;
const UPLOAD_MS = 150_000;

type Signing = NonNullable<Parameters<typeof getSignedUrl>[2]>;
type Request = { method: string; headers?: Record<string, string>; sign: (how: Signing) => Promise<string> };
export type S3Tools = { sleep: (ms: number) => Promise<void>; requestMs: number };
const realTools: S3Tools = { sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)), requestMs: REQUEST_MS };

/** Its methods throw StoreUnavailable when the bucket did not do what was asked, after bounded tries. */
export function s3Store(settings: S3Settings, tools = realTools): ObjectStore & { direct: DirectAccess } {
  const { bucket: Bucket, endpoint, region, accessKeyId, secretAccessKey } = settings;
  const client = new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
    // Ours is said for every write; one that the client adds by itself would be another, of another kind.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });

  async function presign({ sign, headers = {} }: Request): Promise<PresignedRequest> {
    const expiresAt = Date.now() + PRESIGNED_S * 1_000;
    const url = await sign({ expiresIn: PRESIGNED_S, unhoistableHeaders: new Set(Object.keys(headers)) });
    return { url, headers, expiresAt };
  }

  /** One try. A status that `expected` has is an answer; everything else is a store that did not do it. */
  async function once(
    request: Request,
    expected: readonly number[],
    init: RequestInit = {},
    timeoutMs = tools.requestMs,
  ) {
    const { url, headers } = await presign(request);
    const what = `${request.method} ${new URL(url).pathname}`;
    let response: Response;
    try {
      response = await fetch(url, {
        method: request.method,
        ...init,
        headers: { ...headers, ...(init.headers as Record<string, string>) },
        signal: AbortSignal.timeout(timeoutMs),
        redirect: "manual",
      });
    } catch (error) {
      throw new StoreUnavailable(`${what}: ${messageOf(error)}`, error);
    }
    if (expected.includes(response.status)) return response;
    throw new StoreUnavailable(`${what}: the store answered ${response.status} ${await codeOf(response)}`);
  }

  /** `read` belongs to the try: an answer that breaks off is asked for again. */
  async function retried<T>(ask: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await ask();
      } catch (error) {
        const pauseMs = PAUSES_MS[attempt];
        if (!(error instanceof StoreUnavailable) || pauseMs === undefined) throw error;
        await tools.sleep(pauseMs);
      }
    }
  }

  const putRequest = (Key: string, length: number, sha256: string): Request => ({
    method: "PUT",
    sign: (how) =>
      getSignedUrl(
        client,
        new PutObjectCommand({
          Bucket,
          Key,
          ContentLength: length,
          ChecksumSHA256: base64Of(sha256),
          IfNoneMatch: "*",
        }),
        how,
      ),
    headers: { "content-length": String(length), "x-amz-checksum-sha256": base64Of(sha256), "if-none-match": "*" },
  });

  const getRequest = (Key: string): Request => ({
    method: "GET",
    sign: (how) => getSignedUrl(client, new GetObjectCommand({ Bucket, Key }), how),
  });

  return {
    head(Key): Promise<StoredObject | undefined> {
      const request: Request = {
        method: "HEAD",
        sign: (how) => getSignedUrl(client, new HeadObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }), how),
        headers: { "x-amz-checksum-mode": "ENABLED" },
      };
      return retried(async () => {
        const response = await once(request, [200, 404]);
        if (response.status === 404) return undefined;
        const sum = response.headers.get("x-amz-checksum-sha256");
        const length = Number(response.headers.get("content-length"));
        // One that is not a plain SHA-256 ("…-3", of an upload in parts) says nothing about the bytes as a whole.
        return { length, ...(sum !== null && /^[\w+/]{43}=$/.test(sum) ? { sha256: hexOf(sum) } : {}) };
      });
    },

    get(Key, range?: ByteRange): Promise<ObjectBody | undefined> {
      const request = getRequest(Key);
      const headers: Record<string, string> =
        range === undefined ? {} : { range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
      const ask = () => once(request, [range === undefined ? 200 : 206, 404], { headers });
      return retried(async () => {
        const response = await ask();
        if (response.status === 404) return void (await response.body?.cancel());
        const length = Number(response.headers.get("content-length"));
        let first: Response | undefined = response;
        const bytes = () =>
          retried(async () => {
            const again = first ?? (await ask());
            first = undefined;
            return readWhole(again, length);
          });
        return { length, body: response.body as ReadableStream<Uint8Array>, bytes };
      });
    },

    async putIfAbsent(key, body: PutBody, sha256): Promise<PutOutcome> {
      const bytes = "stream" in body ? undefined : body;
      const length = "stream" in body ? body.length : body.length;
      const sum = sha256 ?? (bytes && sha256Of(bytes));
      if (sum === undefined) throw new Error("a stream can only be stored under a hash that is known before");
      const put = async (content: BodyInit): Promise<PutOutcome> => {
        const init = { body: content, duplex: "half" } as RequestInit;
        const response = await once(putRequest(key, length, sum), [200, 400, 409, 412], init, UPLOAD_MS);
        if (response.status === 200) return "stored";
        const code = await codeOf(response);
        if (response.status === 412) return "already_there";
        if (/BadDigest|ChecksumMismatch|XAmzContentChecksum/i.test(code)) return "corrupt";
        throw new StoreUnavailable(`PUT: the store answered ${response.status} ${code}`);
      };
      // A stream is used up by the first try: whoever sent it sends it again.
      return "stream" in body ? put(body.stream) : retried(() => put(body as Uint8Array<ArrayBuffer>));
    },

    list({ prefix, cursor }: ListInput): Promise<Listing> {
      const command = new ListObjectsV2Command({
        Bucket,
        Prefix: prefix,
        ...(cursor === undefined ? {} : { ContinuationToken: cursor }),
      });
      return retried(async () => {
        const sign = (how: Signing) => getSignedUrl(client, command, how);
        const response = await once({ method: "GET", sign }, [200]);
        return readListing(new TextDecoder().decode(await readWhole(response)));
      });
    },

    async remove(Key): Promise<void> {
      const request: Request = {
        method: "DELETE",
        sign: (how) => getSignedUrl(client, new DeleteObjectCommand({ Bucket, Key }), how),
      };
      await retried(() => once(request, [200, 204, 404]));
    },

    direct: {
      presignPut: (key, length, sha256) => presign(putRequest(key, length, sha256)),
      presignGet: (Key) => presign(getRequest(Key)),
    },
  };
}

/** The answer's bytes, as many as it announced. Throws StoreUnavailable when it broke off. */
async function readWhole(response: Response, length?: number): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new StoreUnavailable(`the store's answer broke off: ${messageOf(error)}`, error);
  }
  if (length !== undefined && bytes.length !== length)
    throw new StoreUnavailable(`the store sent ${bytes.length} bytes of ${length}`);
  return bytes;
}

/** The code in an error of S3, which is XML: `<Error><Code>SlowDown</Code>…`. */
async function codeOf(response: Response): Promise<string> {
  const text = new TextDecoder().decode(await readWhole(response));
  return /<Code>(\w{1,100})<\/Code>/.exec(text)?.[1] ?? "";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function base64Of(hex: string): string {
  return Buffer.from(hex, "hex").toString("base64");
}

function hexOf(base64: string): string {
  return Buffer.from(base64, "base64").toString("hex");
}
