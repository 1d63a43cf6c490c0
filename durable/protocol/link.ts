/**
 * The numbered, acknowledged link between a host and an object (PROTOCOL.md [P-12] to [P-17]). Pure: both ends use it, each
 * with its own store for the messages that are not acknowledged yet.
 *
 *   sender    numbers its messages 1, 2, 3 … per lease, keeps each until the peer acknowledges it
 *   receiver  takes exactly the next number; a smaller one was seen and is dropped; a larger one means loss
 */
/** What to do with an arriving number, given the highest one that was taken. */
export function receive(taken: number, n: number): "take" | "duplicate" | "gap" {
  if (n === taken + 1) return "take";
  return n <= taken ? "duplicate" : "gap";
}

/**
 * True when `ack` can be believed: nobody acknowledges what was never sent. An older acknowledgement than one already
 * seen is harmless.
 */
export function plausibleAck(sent: number, ack: number): boolean {
  return Number.isInteger(ack) && ack >= 0 && ack <= sent;
}
