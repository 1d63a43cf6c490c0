/**
 * A small fake model server: the peer that agent CLIs talk to in tests. On loopback, and on a Unix socket where it
 * stands in for the host's egress proxy (paths may begin with /provider/<provider>, as the runner's forwarder sends
 * them). It counts and keeps every request, so that a test can say which key arrived.
 */
import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { anthropicWire } from "./anthropic.ts";
import { chatCompletionsWire } from "./chat-completions.ts";
import { askedScenario, type Conversation } from "./conversation.ts";
import { responsesWire } from "./responses.ts";
import { nextReply, type Reply } from "./scenarios.ts";
import type { Wire } from "./wire.ts";

export type ModelRequest = {
  method: string;
  /** As it arrived, with prefix and query. */
  url: string;
  headers: IncomingHttpHeaders;
  body: unknown;
  /** The scenario it was answered with. */
  scenario?: string;
};

export type ModelServer = {
  /** `http://127.0.0.1:PORT` */
  url: string;
  requests: ModelRequest[];
  /** Resolves when a request for this scenario is there, at once if one is. */
  requested: (scenario: string) => Promise<ModelRequest>;
  close: () => Promise<void>;
};

export type ModelServerOptions = {
  /** Also listen here. */
  socketPath?: string;
  /** Refuse every request that does not carry this key (`x-api-key` or `authorization: Bearer`) with 401. */
  key?: string;
  /** Answers instead of a scenario where it has something to say. Asked only where the agent offers tools. */
  story?: (conversation: Conversation) => Reply | undefined;
};

const WIRES: readonly Wire[] = [anthropicWire, responsesWire, chatCompletionsWire];
const PROVIDER_PREFIX = /^\/provider\/[^/]+(?=\/)/;

export async function startModelServer(options: ModelServerOptions = {}): Promise<ModelServer> {
  const requests: ModelRequest[] = [];
  const waiting: { scenario: string; resolve: (request: ModelRequest) => void }[] = [];
  const listener: RequestListener = (request, response) => {
    response.on("error", () => response.destroy()); // the other side left; `gone` tells the scenario
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const text = Buffer.concat(parts).toString("utf8");
      const seen: ModelRequest = {
        method: request.method ?? "",
        url: request.url ?? "",
        headers: request.headers,
        body: parseBody(text),
      };
      requests.push(seen);
      answer(seen, response, options).catch((error: unknown) => {
        response.destroy(error instanceof Error ? error : undefined);
      });
      for (const { scenario, resolve } of waiting) if (scenario === seen.scenario) resolve(seen);
    });
  };
  const servers: Server[] = [];
  const tcp = createServer(listener);
  servers.push(tcp);
  await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
  const { socketPath } = options;
  if (socketPath !== undefined) {
    const unix = createServer(listener);
    servers.push(unix);
    await new Promise<void>((resolve) => unix.listen(socketPath, resolve));
  }
  const address = tcp.address();
  if (typeof address !== "object" || !address) throw new Error("the model server has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    requested: (scenario) => {
      const seen = requests.find((request) => request.scenario === scenario);
      return seen ? Promise.resolve(seen) : new Promise((resolve) => waiting.push({ scenario, resolve }));
    },
    close: async () => {
      for (const server of servers) server.closeAllConnections();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

async function answer(request: ModelRequest, response: ServerResponse, options: ModelServerOptions): Promise<void> {
  const path = (request.url.split("?")[0] ?? "").replace(PROVIDER_PREFIX, "");
  const wire = WIRES.find((wire) => wire.serves(path));
  if (!wire || request.method !== "POST" || request.body === undefined) {
    response.writeHead(404, { "content-type": "application/json" });
    return void response.end(
      JSON.stringify({ type: "error", error: { type: "not_found_error", message: `no ${path}` } }),
    );
  }
  const conversation = wire.read(request.body);
  const asked = askedScenario(conversation.said);
  request.scenario = asked?.name;
  const { key, story } = options;
  const hasKey =
    key === undefined || request.headers["x-api-key"] === key || request.headers.authorization === `Bearer ${key}`;
  // A call without tools is one of an agent's side jobs (a title, a summary): it must not use up a scenario's turn.
  const works = conversation.toolNames.length > 0;
  const reply = !hasKey
    ? { status: 401, message: "invalid x-api-key" }
    : (works && story?.(conversation)) || nextReply(works ? asked : undefined, conversation);
  await wire.send(response, reply, conversation);
}

function parseBody(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return undefined; // not JSON: no wire will take it, and the request is kept for the test to look at
  }
}
