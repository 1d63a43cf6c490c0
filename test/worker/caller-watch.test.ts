import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HEARTBEAT_MS, watchAnswer, watchEvents } from "../../worker/routes/caller-watch.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  expect(vi.getTimerCount(), "no timer outlives its stream").toBe(0);
  vi.useRealTimers();
});

const bytes = (text: string) => new TextEncoder().encode(text);

/** A stream whose chunks and end are given by the test. */
function source() {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const stream = new ReadableStream<Uint8Array>({
    start(own) {
      controller = own;
    },
  });
  return {
    stream,
    say: (text: string) => controller.enqueue(bytes(text)),
    end: () => controller.close(),
    break: () => controller.error(new Error("object moved")),
  };
}

function caller() {
  const abort = new AbortController();
  const left = vi.fn();
  return { abort, left, watch: { signal: abort.signal, left } };
}

function textOf(stream: ReadableStream<Uint8Array>) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  return {
    next: async () => decoder.decode((await reader.read()).value),
    cancel: () => reader.cancel(),
    closed: reader.closed,
  };
}

describe("a caller of a stream [R-5.4]", () => {
  test("has left once, whichever sign comes first", async () => {
    const { abort, left, watch } = caller();
    const stream = watchEvents(source().stream, watch);
    await stream.cancel();
    abort.abort();
    expect(left).toHaveBeenCalledTimes(1);
  });

  test("has left when the signal says so", async () => {
    const { abort, left, watch } = caller();
    watchEvents(source().stream, watch);
    abort.abort();
    expect(left).toHaveBeenCalledTimes(1);
  });

  test("has not left when the server ended the stream", async () => {
    const { abort, left, watch } = caller();
    const from = source();
    const text = new Response(watchEvents(from.stream, watch)).text();
    from.say("x");
    from.end();
    expect(await text).toBe("x");
    abort.abort();
    expect(left).not.toHaveBeenCalled();
  });

  test("has not left when the stream broke on the server's side", async () => {
    const { abort, left, watch } = caller();
    const from = source();
    const text = new Response(watchEvents(from.stream, watch)).text();
    from.break();
    await expect(text).rejects.toThrow("object moved");
    abort.abort();
    expect(left).not.toHaveBeenCalled();
  });

  test("hears heartbeats between events, never inside one", async () => {
    const { abort, watch } = caller();
    const from = source();
    const read = textOf(watchEvents(from.stream, watch));
    const heard = [];
    for (const chunk of ["id: 1\nda", "ta: {}\n", "\n", "id: 2\n\n"]) {
      from.say(chunk);
      heard.push(await read.next());
      const waiting = read.next();
      await vi.advanceTimersByTimeAsync(HEARTBEAT_MS);
      from.say("|");
      heard.push(await waiting);
      // Everything up to the mark, so that the next round starts clean.
      while (!heard.at(-1)?.includes("|")) heard.push(await read.next());
      from.say("\n\n");
      heard.push(await read.next());
    }
    abort.abort();
    const text = heard.join("");
    expect(text).toContain("\n\n: \n\n|");
    expect(text).not.toContain("da: ");
    expect(text).not.toContain("{}\n: ");
  });
});

describe("a caller who waits for an answer", () => {
  test("gets JSON, with spaces before it while it is not there yet", async () => {
    const { watch, left } = caller();
    const { promise, resolve } = Promise.withResolvers<object>();
    const stream = watchAnswer(promise, watch);
    const text = new Response(stream).text();
    await vi.advanceTimersByTimeAsync(3 * HEARTBEAT_MS);
    resolve({ ok: true });
    expect(await text).toBe('   {"ok":true}');
    expect(JSON.parse(await text)).toEqual({ ok: true });
    expect(left).not.toHaveBeenCalled();
  });

  test("has left when the body is cancelled", async () => {
    const { watch, left } = caller();
    await watchAnswer(new Promise(() => undefined), watch).cancel();
    expect(left).toHaveBeenCalledTimes(1);
  });
});
