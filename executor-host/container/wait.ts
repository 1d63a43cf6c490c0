/**
 * Waits for a container as the Engine API has it. dockerode's own `wait` listens for the end of the answer's body only: an
 * engine that dies while it waits leaves it waiting for ever, and the death of the worker would never be heard of.
 */
import { addAbortSignal, type Readable } from "node:stream";
import type Docker from "dockerode";

export type WaitOptions = { condition?: "not-running" | "removed"; signal?: AbortSignal };

/**
 * Resolves with the exit code when the container has ended (or is gone).
 * @throws Error with `statusCode` when the engine refuses; the connection's error when the engine goes away
 */
export async function waitForEnd(
  { id, modem }: Pick<Docker.Container, "id" | "modem">,
  { condition = "not-running", signal }: WaitOptions = {},
): Promise<number> {
  const answer = await new Promise<Readable>((resolve, reject) => {
    const request = {
      path: `/containers/${id}/wait?condition=${condition}`,
      method: "POST",
      isStream: true,
      statusCodes: { 200: true, 400: "bad parameter", 404: "no such container", 500: "server error" },
      ...(signal && { abortSignal: signal }),
    };
    modem.dial(request, (error: Error | null, stream: Readable) => (error ? reject(error) : resolve(stream)));
  });
  if (signal) addAbortSignal(signal, answer);
  let text = "";
  for await (const bytes of answer) text += bytes;
  return (JSON.parse(text) as { StatusCode: number }).StatusCode;
}
