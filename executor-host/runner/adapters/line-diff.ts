/** A small unified diff of one changed region, for people who have to approve an edit. Not for patching. */
const CONTEXT_LINES = 3;

/** `before` undefined: the file is new. */
export function lineDiff(path: string, before: string | undefined, after: string): string {
  const old = before === undefined || before === "" ? [] : before.split("\n");
  const now = after === "" ? [] : after.split("\n");
  let head = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head++;
  let tail = 0;
  while (tail < old.length - head && tail < now.length - head && old.at(-1 - tail) === now.at(-1 - tail)) tail++;
  const from = Math.max(0, head - CONTEXT_LINES);
  const contextAfter = Math.min(tail, CONTEXT_LINES);
  const oldEnd = old.length - tail;
  const nowEnd = now.length - tail;
  return [
    `--- ${before === undefined ? "/dev/null" : path}`,
    `+++ ${path}`,
    `@@ -${from + 1},${oldEnd + contextAfter - from} +${from + 1},${nowEnd + contextAfter - from} @@`,
    ...old.slice(from, head).map((line) => ` ${line}`),
    ...old.slice(head, oldEnd).map((line) => `-${line}`),
    ...now.slice(head, nowEnd).map((line) => `+${line}`),
    ...old.slice(oldEnd, oldEnd + contextAfter).map((line) => ` ${line}`),
  ].join("\n");
}
