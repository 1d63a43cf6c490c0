/** Server-sent events out of a byte stream: only what the runner uses, `data` lines and blank lines. */
const MAX_LINE_CHARS = 16 * 1024 * 1024;

/**
 * The `data` of each event, in order.
 * @throws Error when a line grows beyond 16 MiB: whoever is on the other side is not our runner
 */
export async function* sseData(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  for await (const bytes of stream) {
    rest += decoder.decode(bytes, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE_CHARS) throw new Error("a line of the runner's stream is too long");
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        if (data.length > 0) yield data.join("\n");
        data = [];
      } else if (line.startsWith("data:")) {
        data.push(line.slice(line[5] === " " ? 6 : 5));
      }
    }
  }
}
