/** The answer of ListObjectsV2. workerd has no XML parser, and this XML is flat: names, sizes, times. */
import { type Listing, StoreUnavailable } from "./object-store.ts";

/** @throws StoreUnavailable when the text is not a whole listing */
export function readListing(xml: string): Listing {
  if (!/<ListBucketResult[\s>]/.test(xml) || !xml.trimEnd().endsWith("</ListBucketResult>"))
    throw new StoreUnavailable("the store's listing is not whole");
  const objects = blocks(xml, "Contents").map((block) => ({
    key: field(block, "Key"),
    length: Number(field(block, "Size")),
    uploadedAt: Date.parse(field(block, "LastModified")),
  }));
  if (objects.some(({ length, uploadedAt }) => !Number.isSafeInteger(length) || Number.isNaN(uploadedAt)))
    throw new StoreUnavailable("the store's listing is not understood");
  const more = /<IsTruncated>true<\/IsTruncated>/.test(xml);
  return { objects, ...(more ? { cursor: field(xml, "NextContinuationToken") } : {}) };
}

function blocks(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([\\s\\S]*?)</${name}>`, "g"))].map(([, inner = ""]) => inner);
}

function field(xml: string, name: string): string {
  const found = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  if (found === undefined) throw new StoreUnavailable(`the store's listing has an item without ${name}`);
  return found.replace(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (all, decimal, hex, name) => {
    if (decimal || hex) return String.fromCodePoint(Number.parseInt(decimal ?? hex, decimal ? 10 : 16));
    return NAMED[name] ?? all;
  });
}
const NAMED: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
