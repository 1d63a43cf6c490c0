/**
 * Tests run the Worker's code in Node, too, whose types do not know the platform's globals. Here they have the platform's
 * names and Node's streams; what they do is tested on workerd.
 */
import type * as workers from "@cloudflare/workers-types";

type R2Part = { key: string; size: number; uploaded: Date; checksums: { toJSON(): { sha256?: string } } };
type R2Page = { objects: R2Part[] } & ({ truncated: true; cursor: string } | { truncated: false });
type R2Body = R2Part & { body: ReadableStream<Uint8Array<ArrayBuffer>>; bytes(): Promise<Uint8Array<ArrayBuffer>> };

declare global {
  type D1Database = workers.D1Database;
  type DurableObjectNamespace = workers.DurableObjectNamespace;
  type Fetcher = workers.Fetcher;
  interface R2Bucket {
    head(key: string): Promise<R2Part | null>;
    get(key: string, options: object): Promise<R2Body | null>;
    put(key: string, body: unknown, options: object): Promise<R2Part | null>;
    list(options: object): Promise<R2Page>;
    delete(key: string): Promise<void>;
  }
  class FixedLengthStream extends TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
    constructor(lengthBytes: number);
  }
}
