/** What the store's code needs of R2, no more; an R2Bucket is one (r2.ts), a test's map is another. */
export type StoredObject = { length: number };
export type ByteRange = { offset: number; length: number };
export type ObjectBody = { length: number; body: ReadableStream<Uint8Array>; bytes(): Promise<Uint8Array> };
export type PutOutcome = "stored" | "already_there" | "corrupt";

export interface ObjectStore {
  head(key: string): Promise<StoredObject | undefined>;
  /** A range outside of the object is a defect of the caller. */
  get(key: string, range?: ByteRange): Promise<ObjectBody | undefined>;
  /**
   * Stores under a key that nothing is stored under yet. With `sha256` (hex) the object becomes visible only when its
   * bytes have that hash; otherwise the outcome is `corrupt`. A stream has to have a known length.
   */
  putIfAbsent(key: string, body: ReadableStream | Uint8Array, sha256?: string): Promise<PutOutcome>;
}
