/** What the store's code needs of a store of objects, no more: an R2 bucket (r2.ts), an S3 bucket (s3.ts), a test's map. */
export type StoredObject = {
  length: number;
  /** Hex, of the bytes as the store took them in; absent when it does not know. */
  sha256?: string;
};
export type ListedObject = { key: string; length: number; uploadedAt: number };
export type ByteRange = { offset: number; length: number };
export type ObjectBody = { length: number; body: ReadableStream<Uint8Array>; bytes(): Promise<Uint8Array> };
export type PutOutcome = "stored" | "already_there" | "corrupt";
export type Listing = { objects: ListedObject[]; cursor?: string };
export type ListInput = { prefix: string; cursor?: string };

export interface ObjectStore {
  head(key: string): Promise<StoredObject | undefined>;
  /** A range outside of the object is a defect of the caller. */
  get(key: string, range?: ByteRange): Promise<ObjectBody | undefined>;
  /**
   * Stores under a key that nothing is stored under yet. With `sha256` (hex) the object becomes visible only when its
   * bytes have that hash; otherwise the outcome is `corrupt`. A stream has to have a known length, said as `length`.
   */
  putIfAbsent(key: string, body: PutBody, sha256?: string): Promise<PutOutcome>;
  /** One page, in the order of the keys. */
  list(input: ListInput): Promise<Listing>;
  /** Gone afterwards, whether it was there or not. */
  remove(key: string): Promise<void>;
  /** Only where a host may speak with the store itself. */
  direct?: DirectAccess;
}
export type PutBody = Uint8Array | { stream: ReadableStream; length: number };

/** A request that whoever has it may make once or more until it expires, with exactly these headers. */
export type PresignedRequest = { url: string; headers: Record<string, string>; expiresAt: number };
export interface DirectAccess {
  /** For these very bytes, and only while nothing is stored under the key. */
  presignPut(key: string, length: number, sha256: string): Promise<PresignedRequest>;
  /** The whole object or any range of it. */
  presignGet(key: string): Promise<PresignedRequest>;
}

/** The store did not do what it should have: not reached, too slow, an error of its own. Asking again is right. */
export class StoreUnavailable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "StoreUnavailable";
  }
}
