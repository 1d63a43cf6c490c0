/** From events to rows that the platform can hold. Knows no platform. */
import type { SessionEvent } from "#protocol/events.ts";

/** `first` and `seq`: the first and the last number that the row covers. */
export type PackedRow = { first: number; seq: number; events: string };

/** Cuts events into rows of about `rowBytes` at most; an event that is larger is a row of its own. */
export function packed(events: Iterable<SessionEvent>, rowBytes: number): PackedRow[] {
  const rows: PackedRow[] = [];
  let parts: string[] = [];
  let size = 0;
  let first = 0;
  let seq = 0;
  const close = () => {
    if (parts.length > 0) rows.push({ first, seq, events: `[${parts.join(",")}]` });
    parts = [];
    size = 0;
  };
  for (const event of events) {
    const text = JSON.stringify(event);
    if (size + text.length > rowBytes) close();
    if (parts.length === 0) first = event.from ?? event.seq;
    parts.push(text);
    size += text.length + 1;
    seq = event.seq;
  }
  close();
  return rows;
}
