/** OpenCode's own client, as the provider brings it, and its events. */
import { type OpencodeClient, OpencodeClientManager } from "ai-sdk-provider-opencode-sdk";
import { patientFetch } from "../patient-fetch.ts";
import { keepingOwnExit } from "./own-exit.ts";

export type { OpencodeClient };

type Subscription = Awaited<ReturnType<OpencodeClient["event"]["subscribe"]>>;
export type Event = Subscription["stream"] extends AsyncIterable<infer E> ? E : never;

/** A client of one server; the provider's own would be one for the whole process. */
export function connect(baseUrl: string, directory: string, password: string): Promise<OpencodeClient> {
  const authorization = `Basic ${Buffer.from(`opencode:${password}`).toString("base64")}`;
  const manager = keepingOwnExit(() =>
    OpencodeClientManager.createInstance({
      baseUrl,
      cwd: directory,
      autoStartServer: false,
      clientOptions: { fetch: patientFetch, headers: { authorization } },
      logger: false,
    }),
  );
  return keepingOwnExit(() => manager.getClient());
}

/** What the provider takes a client from. Given the bare client, it would keep the first one for the whole process. */
export function alone(client: OpencodeClient): OpencodeClientManager {
  return keepingOwnExit(() => OpencodeClientManager.createInstance({ client, logger: false }));
}

export type Overheard = {
  /** The same client, for the provider. */
  client: OpencodeClient;
  /** Resolves when OpenCode is done with what it was told to do, whatever has become of that. */
  done: () => Promise<unknown>;
};

/**
 * A client whose events pass by `listener` on their way. Its prompt is not broken off with the provider's stream: OpenCode
 * answers it when it is at rest, also after a stop, and nothing else says that.
 */
export function overhear(client: OpencodeClient, listener: (event: Event) => void): Overheard {
  const subscribe: OpencodeClient["event"]["subscribe"] = async (...args) => {
    const result = await client.event.subscribe(...args);
    async function* passing(stream: AsyncIterable<unknown>) {
      for await (const event of stream) {
        listener(event as Event);
        yield event;
      }
    }
    return { ...result, stream: passing(result.stream) } as typeof result;
  };
  let answer: Promise<unknown> = Promise.resolve();
  const prompt = ((parameters, options) => {
    const prompted = client.session.prompt(parameters, { ...options, signal: undefined });
    answer = prompted.then(
      () => {},
      () => {}, // the provider says so
    );
    return prompted;
  }) as OpencodeClient["session"]["prompt"];
  const own = {
    event: { value: { subscribe } },
    session: { value: Object.create(client.session, { prompt: { value: prompt } }) },
  };
  return { client: Object.create(client, own) as OpencodeClient, done: () => answer };
}
