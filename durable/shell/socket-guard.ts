/** The edge of a socket's handler: what the peer did wrong closes its socket, what we did wrong is logged, once, here. */
import { ProtocolViolation } from "#protocol/close-codes.ts";
import { closeSocket } from "./host-handshake.ts";
import { errorText, type LogFields, log } from "./log.ts";

export async function guardSocket(
  ws: WebSocket,
  component: string,
  fields: LogFields,
  handle: () => Promise<void> | void,
): Promise<void> {
  try {
    await handle();
  } catch (error) {
    if (error instanceof ProtocolViolation) {
      log("warn", component, "a peer broke the protocol", { ...fields, close: error.close, why: error.message });
      return closeSocket(ws, error.close, error.message);
    }
    log("error", component, "a frame could not be handled", { ...fields, error: errorText(error) });
    closeSocket(ws, "internal", "something went wrong here; come back and resume");
  }
}
