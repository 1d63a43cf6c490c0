/**
 * Noticing that a caller has left, for runs that were started with `onDisconnect: "cancel"`.
 *
 * The platform tells us in two ways, the request's signal and the cancelled body, and both only once a write has failed
 * (workerd) or sometimes earlier (the network's edge). So while nothing else is said, we say something that means
 * nothing: a comment between two events, a space before a JSON text.
 *
 * A body that ended or broke on our side was not left by anyone, whatever becomes of the connection afterwards.
 */
export type CallerWatch = {
  /** The request's own. */
  signal: AbortSignal;
  /** Called at most once. */
  left: () => void;
};

type Source = {
  /** The next bytes; undefined at the end. */
  next(): Promise<Uint8Array | undefined>;
  cancel(reason: unknown): Promise<void>;
  /** True when a heartbeat may be said here. */
  between(): boolean;
};

export const HEARTBEAT_MS = 1_000;
const encoder = new TextEncoder();
const SSE_COMMENT = encoder.encode(": \n\n");
const JSON_SPACE = encoder.encode(" ");
const LINE_FEED = 10;

/** An event stream, passed on. A heartbeat never lands inside an event: chunks are cut anywhere. */
export function watchEvents(body: ReadableStream<Uint8Array>, watch: CallerWatch): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let lastBytes: number[] = [LINE_FEED, LINE_FEED];
  return watched(SSE_COMMENT, watch, {
    async next() {
      const { value } = await reader.read();
      if (value) lastBytes = [...lastBytes, ...value.subarray(-2)].slice(-2);
      return value;
    },
    cancel: (reason) => reader.cancel(reason),
    between: () => lastBytes.every((byte) => byte === LINE_FEED),
  });
}

/** One JSON text, once it is there. It must not reject: the status has been sent by then. */
export function watchAnswer(answer: Promise<object>, watch: CallerWatch): ReadableStream<Uint8Array> {
  let said = false;
  return watched(JSON_SPACE, watch, {
    async next() {
      if (said) return undefined;
      const value = await answer;
      said = true;
      return encoder.encode(JSON.stringify(value));
    },
    cancel: async () => undefined,
    between: () => !said,
  });
}

function watched(heartbeat: Uint8Array, { signal, left }: CallerWatch, source: Source): ReadableStream<Uint8Array> {
  let beat: ReturnType<typeof setInterval> | undefined;
  let open = true;
  const close = () => {
    open = false;
    clearInterval(beat);
    signal.removeEventListener("abort", leave);
  };
  const leave = () => {
    if (!open) return;
    close();
    left();
  };
  return new ReadableStream<Uint8Array>({
    start(controller) {
      signal.addEventListener("abort", leave);
      beat = setInterval(() => {
        if (source.between() && (controller.desiredSize ?? 0) > 0) controller.enqueue(heartbeat);
      }, HEARTBEAT_MS);
    },
    async pull(controller) {
      try {
        const value = await source.next();
        // The caller may have left while we waited.
        if (!open) return;
        if (value) return controller.enqueue(value);
        close();
        controller.close();
      } catch (error) {
        close();
        controller.error(error);
      }
    },
    async cancel(reason) {
      leave();
      await source.cancel(reason);
    },
  });
}
