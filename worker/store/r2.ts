import type {
  ByteRange,
  ListInput,
  Listing,
  ObjectBody,
  ObjectStore,
  PutBody,
  PutOutcome,
  StoredObject,
} from "./object-store.ts";

/** R2's code for "the checksum you specified did not match what we received"; the object is then not stored. */
const BAD_DIGEST = "(10037)";

/** An R2 bucket as ObjectStore. R2 checks the hash itself while it takes the bytes in: nothing is buffered here. */
export function r2Store(bucket: R2Bucket): ObjectStore {
  return {
    async head(key): Promise<StoredObject | undefined> {
      const object = await bucket.head(key);
      if (object === null) return undefined;
      const sha256 = object.checksums.toJSON().sha256;
      return { length: object.size, ...(sha256 === undefined ? {} : { sha256 }) };
    },
    async get(key, range?: ByteRange): Promise<ObjectBody | undefined> {
      const object = await bucket.get(key, range === undefined ? {} : { range });
      if (object === null) return undefined;
      const length = range?.length ?? object.size;
      // Node's types, with which the tests see this file, know another ReadableStream; it is the same thing.
      const body = object.body as unknown as ReadableStream<Uint8Array>;
      return { length, body, bytes: () => object.bytes() };
    },
    async putIfAbsent(key, body: PutBody, sha256): Promise<PutOutcome> {
      const onlyIf = { etagDoesNotMatch: "*" };
      const bytes = ("stream" in body ? body.stream : body) as Uint8Array; // Or a stream; see above.
      try {
        const stored = await bucket.put(key, bytes, sha256 === undefined ? { onlyIf } : { onlyIf, sha256 });
        return stored === null ? "already_there" : "stored";
      } catch (error) {
        if (error instanceof Error && error.message.includes(BAD_DIGEST)) return "corrupt";
        throw error;
      }
    },
    async list({ prefix, cursor }: ListInput): Promise<Listing> {
      const page = await bucket.list({ prefix, ...(cursor === undefined ? {} : { cursor }) });
      return {
        objects: page.objects.map(({ key, size, uploaded }) => ({ key, length: size, uploadedAt: uploaded.getTime() })),
        ...(page.truncated ? { cursor: page.cursor } : {}),
      };
    },
    async remove(key): Promise<void> {
      await bucket.delete(key);
    },
  };
}
