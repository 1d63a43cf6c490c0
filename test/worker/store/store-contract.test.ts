/** The same behaviours over every store there is, on workerd. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StoreUnavailable } from "../../../worker/store/object-store.ts";
import { s3Store } from "../../../worker/store/s3.ts";
import { s3Settings } from "../../../worker/store/s3-settings.ts";
import { error, type S3Fault, S3Peer } from "../../support/s3-peer.ts";
import { StoreUnderTest } from "./store-under-test.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const hashOf = (text: string) => createHash("sha256").update(text).digest("hex");

describe.each(["R2", "S3"] as const)("[R-4.5] a store on %s", (kind) => {
  let store: StoreUnderTest;
  beforeAll(async () => {
    store = await StoreUnderTest.start(kind);
  });
  afterAll(() => store.close());

  test.each([{}, { stream: "1" }] as const)("keeps what it was given, whole and in ranges (%j)", async (how) => {
    const key = `orgs/o/whole-${"stream" in how}`;
    const text = "0123456789".repeat(1_000);
    expect(await store.put(key, bytesOf(text), { sha256: hashOf(text), ...how })).toBe("stored");
    expect(await store.get(key)).toBe(text);
    expect(await store.get(key, { stream: "1" })).toBe(text);
    expect(await store.get(key, { from: "9998", length: "2" })).toBe("89");
    expect(await store.head(key)).toEqual({ length: 10_000, sha256: hashOf(text) });
  });

  test("says so when nothing is there", async () => {
    expect(await store.head("orgs/o/nothing")).toBeNull();
    expect(await store.get("orgs/o/nothing")).toBeUndefined();
    expect(await store.remove("orgs/o/nothing")).toBeNull();
  });

  test.each([{}, { stream: "1" }] as const)("replaces nothing (%j)", async (how) => {
    const key = `orgs/o/once-${"stream" in how}`;
    expect(await store.put(key, bytesOf("first"), { sha256: hashOf("first"), ...how })).toBe("stored");
    expect(await store.put(key, bytesOf("other"), { sha256: hashOf("other"), ...how })).toBe("already_there");
    expect(await store.get(key)).toBe("first");
  });

  test("lets one of many win", async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_, i) => store.put("orgs/o/race", bytesOf(`${i}`), { sha256: hashOf(`${i}`) })),
    );
    expect(outcomes.filter((outcome) => outcome === "stored")).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === "already_there")).toHaveLength(7);
  });

  test.each([{}, { stream: "1" }] as const)("takes no bytes under another's hash (%j)", async (how) => {
    const key = `orgs/o/false-${"stream" in how}`;
    expect(await store.put(key, bytesOf("pacK"), { sha256: hashOf("pack"), ...how })).toBe("corrupt");
    expect(await store.head(key)).toBeNull();
  });

  test("lists page by page, and forgets what was removed", async () => {
    for (const name of ["a/1", "a/2", "a/x & <y>", "b/1", "c/1", "d/1"]) await store.put(`list/${name}`, bytesOf(name));
    const all = async (prefix: string) => {
      const objects: string[] = [];
      for (let cursor: string | undefined = ""; cursor !== undefined; ) {
        const page = await store.list({ prefix, ...(cursor === "" ? {} : { cursor }) });
        objects.push(...page.objects.map(({ key, length }) => `${key} ${length}`));
        cursor = page.cursor;
        for (const { uploadedAt } of page.objects) expect(Math.abs(uploadedAt - Date.now())).toBeLessThan(600_000);
      }
      return objects;
    };
    expect(await all("list/a/")).toEqual(["list/a/1 3", "list/a/2 3", "list/a/x & <y> 9"]);
    expect(await all("list/")).toHaveLength(6);
    await store.remove("list/a/2");
    expect(await all("list/a/")).toHaveLength(2);
    expect(await all("nothing/")).toEqual([]);
  });
});

test("R2 is reached through the edge alone", async () => {
  const store = await StoreUnderTest.start("R2");
  expect(await store.presign({ key: "orgs/o/x" })).toBeNull();
  await store.close();
});

describe("S3, for hosts", () => {
  let store: StoreUnderTest;
  beforeAll(async () => {
    store = await StoreUnderTest.start("S3");
  });
  afterAll(() => store.close());
  const key = (name: string) => `orgs/o/sessions/s/packs/${name}`;
  const presignPut = async (name: string, text: string) => {
    const presigned = await store.presign({ key: key(name), length: String(text.length), sha256: hashOf(text) });
    const { "content-length": _byFetch, ...headers } = presigned!.headers;
    return { ...presigned!, headers };
  };
  const put = async (request: { url: string; headers: Record<string, string> }, body: string, more = {}) =>
    (await fetch(request.url, { method: "PUT", headers: { ...request.headers, ...more }, body })).status;

  test("a presigned upload takes these bytes, keeps their checksum, once, for a minute at most", async () => {
    const request = await presignPut("a", "content");
    expect(request.expiresAt - Date.now()).toBeLessThanOrEqual(60_000);
    expect(Number(new URL(request.url).searchParams.get("X-Amz-Expires"))).toBeLessThanOrEqual(60);
    const signed = new URL(request.url).searchParams.get("X-Amz-SignedHeaders")?.split(";");
    expect(signed).toEqual(expect.arrayContaining(["content-length", "if-none-match", "x-amz-checksum-sha256"]));
    expect(await put(request, "content")).toBe(200);
    expect(await store.head(key("a"))).toEqual({ length: 7, sha256: hashOf("content") });
    expect(await put(request, "content")).toBe(412);
  });

  test.each<[string, (request: { url: string; headers: Record<string, string> }) => Promise<number>, number]>([
    ["other bytes", (request) => put(request, "CONTENT"), 400],
    ["more bytes", (request) => put(request, "content and more"), 403],
    [
      "another checksum",
      (request) =>
        put(request, "CONTENT", { "x-amz-checksum-sha256": Buffer.from(hashOf("CONTENT"), "hex").toString("base64") }),
      403,
    ],
    ["no condition", ({ url, headers: { "if-none-match": _, ...headers } }) => put({ url, headers }, "content"), 403],
    ["another key", ({ url, headers }) => put({ url: url.replace("/packs/", "/snapshots/"), headers }, "content"), 403],
    ["another method", async ({ url }) => (await fetch(url, { method: "DELETE" })).status, 403],
    [
      "a longer life",
      ({ url, headers }) => put({ url: url.replace(/X-Amz-Expires=\d+/, "X-Amz-Expires=9999"), headers }, "content"),
      403,
    ],
  ])("it is good for nothing else: %s", async (_, use, status) => {
    expect(await use(await presignPut("b", "content"))).toBe(status);
    expect(await store.head(key("b"))).toBeNull();
  });

  test("a presigned download reads one object, in ranges too", async () => {
    await store.put(key("c"), bytesOf("0123456789"));
    const { url, headers } = (await store.presign({ key: key("c") }))!;
    expect(await (await fetch(url, { headers })).text()).toBe("0123456789");
    expect(await (await fetch(url, { headers: { ...headers, range: "bytes=2-4" } })).text()).toBe("234");
    expect((await fetch(url.replace(/packs\/c/, "packs/a"))).status).toBe(403);
  });
});

describe("S3 on a bad day", () => {
  let s3: S3Peer;
  let store: ReturnType<typeof s3Store>;
  const pauses: number[] = [];
  beforeAll(async () => {
    s3 = await S3Peer.start();
    store = s3Store(s3.settings, { sleep: async (ms) => void pauses.push(ms), requestMs: 30_000 });
    await store.putIfAbsent("k", bytesOf("content"), hashOf("content"));
  });
  afterAll(() => s3.close());
  const get = async () => new TextDecoder().decode(await (await store.get("k"))?.bytes());
  const failing = (times: number, fault: S3Fault) => {
    let left = times;
    s3.fault = (call, proceed) => (left-- > 0 ? fault(call, proceed) : undefined);
  };
  const faults: Record<string, S3Fault> = {
    "answers 500": () => error(500, "InternalError"),
    "answers 503": () => error(503, "SlowDown"),
    "hangs up": () => "cut",
    "does it and loses the answer": (_, proceed) => ({ lost: proceed() }),
  };

  test.each(Object.entries(faults))("one that %s is asked again, three times at most", async (_, fault) => {
    failing(2, fault);
    expect(await get()).toBe("content");
    failing(2, fault);
    expect(await store.head("k")).toMatchObject({ length: 7 });
    failing(1_000, fault);
    const before = s3.calls.length;
    pauses.length = 0;
    await expect(get()).rejects.toThrow(StoreUnavailable);
    expect([s3.calls.length - before, pauses]).toEqual([3, [200, 1_000]]);
  });

  test("an answer that breaks off is asked for again, and never taken for the whole", async () => {
    failing(1, (_, proceed) => ({ short: proceed() }));
    expect(await get()).toBe("content");
    failing(1_000, (_, proceed) => ({ short: proceed() }));
    await expect(get()).rejects.toThrow(StoreUnavailable);
    await expect(store.list({ prefix: "" })).rejects.toThrow(StoreUnavailable);
  });

  test("one that says nothing is given up", async () => {
    failing(1_000, () => "hang");
    const hasty = s3Store(s3.settings, { sleep: async () => {}, requestMs: 50 });
    await expect(hasty.head("k")).rejects.toThrow(StoreUnavailable);
  });

  test("a write whose answer was lost has happened once", async () => {
    failing(1, (_, proceed) => ({ lost: proceed() }));
    expect(await store.putIfAbsent("lost", bytesOf("x"), hashOf("x"))).toBe("already_there");
    expect(s3.objects.get("lost")?.bytes.toString()).toBe("x");
  });
});

describe("the operator's variables", () => {
  const all = {
    S3_ENDPOINT: "https://s3.example.org",
    S3_BUCKET: "b",
    S3_REGION: "auto",
    S3_ACCESS_KEY_ID: "id",
    S3_SECRET_ACCESS_KEY: "key",
  };
  test("none of them is R2, all of them are S3", () => {
    expect(s3Settings({})).toBeUndefined();
    expect(s3Settings(all)).toMatchObject({ endpoint: "https://s3.example.org", bucket: "b" });
  });
  test.each(Object.keys(all))("without %s nothing starts, and the message says what is missing", (name) => {
    const refused = s3Settings({ ...all, [name]: "" });
    expect(refused).toMatchObject({ ok: false, reason: "misconfigured", details: { variable: name } });
    expect(JSON.stringify(refused)).toContain(`${name} missing`);
  });
  test.each(["s3.example.org", "http://s3.example.org", "https://s3.example.org/bucket", "ftp://x"])(
    "%s is no endpoint",
    (S3_ENDPOINT) =>
      expect(s3Settings({ ...all, S3_ENDPOINT })).toMatchObject({ details: { variable: "S3_ENDPOINT" } }),
  );
});
