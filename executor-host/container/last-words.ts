/** What a worker printed before it died, cut to what fits into an event's evidence. */
const maxLines = 20;
const maxChars = 1_800;
const headerBytes = 8;

/**
 * Docker's log of a container without a terminal is framed: stream (1 byte), three zeros, length (4 bytes, big endian),
 * then that many bytes (Engine API, ContainerAttach, "Stream format"). A cut last frame gives what there is of it.
 */
export function unframe(log: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + headerBytes <= log.length; ) {
    const end = at + headerBytes + log.readUInt32BE(at + 4);
    parts.push(log.subarray(at + headerBytes, end));
    at = end;
  }
  return Buffer.concat(parts).toString("utf8");
}

/** The end of `text`: at most 20 lines and 1,800 characters. */
export function lastWords(text: string): string {
  const end = text.trimEnd().split("\n").slice(-maxLines).join("\n").slice(-maxChars);
  return end === "" ? "(it printed nothing)" : end;
}
