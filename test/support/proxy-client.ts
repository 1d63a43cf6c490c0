/** HTTP over a Unix socket, with the parts in hand that fetch hides: chunks as they come, CONNECT, hanging up. */
import { once } from "node:events";
import { type Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import type { Socket } from "node:net";

export type Asked = { method?: string; path: string; headers?: Record<string, string>; body?: string; agent?: Agent };

export function open(socketPath: string, { method = "POST", path, headers, body, agent }: Asked): ClientRequest {
  const asking = request({ socketPath, method, path, headers, agent: agent ?? false });
  asking.on("error", () => undefined);
  asking.end(body);
  return asking;
}

export async function ask(
  socketPath: string,
  asked: Asked,
): Promise<{ status: number; headers: IncomingMessage["headers"]; text: string }> {
  const [response] = (await once(open(socketPath, asked), "response")) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, text: await textOf(response) };
}

/** Sends CONNECT; gives the answer's status and the socket, which is a tunnel when that is 200. */
export async function connectThrough(
  socketPath: string,
  authority: string,
): Promise<{ status: number; socket: Socket; head: Buffer; text: () => Promise<string> }> {
  const asking = request({ socketPath, method: "CONNECT", path: authority, agent: false });
  asking.end();
  const [response, socket, head] = (await once(asking, "connect")) as [IncomingMessage, Socket, Buffer];
  return { status: response.statusCode ?? 0, socket, head, text: async () => String(head) + (await textOf(socket)) };
}

export async function textOf(stream: AsyncIterable<Buffer | string>): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += chunk;
  return text;
}
