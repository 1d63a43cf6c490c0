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

/** The same client, whose events pass by `listener` on their way. */
export function overhear(client: OpencodeClient, listener: (event: Event) => void): OpencodeClient {
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
  return Object.create(client, { event: { value: { subscribe } } }) as OpencodeClient;
}
