/**
 * `fetch` over node:http, which waits as long as it takes. Node's own gives up after 300 s without an answer's head, and
 * OpenCode answers a prompt when the work is done: after people were asked, that may be tomorrow.
 */
import http from "node:http";
import { Readable } from "node:stream";

const WITHOUT_BODY = new Set([204, 205, 304]);

/** @throws as `fetch` does, when there is no answer or the signal fires */
export async function patientFetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  const body = request.body ? Buffer.from(await request.arrayBuffer()) : undefined;
  const { url, method, signal } = request;
  const headers = Object.fromEntries(request.headers);
  return new Promise((resolve, reject) => {
    const outgoing = http.request(url, { method, headers, signal }, (answer) => {
      const status = answer.statusCode ?? 500;
      const fields = Object.entries(answer.headers).map(([name, value]): [string, string] => [name, String(value)]);
      const stream = WITHOUT_BODY.has(status) ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>);
      if (!stream) answer.resume();
      resolve(new Response(stream, { status, headers: fields }));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
