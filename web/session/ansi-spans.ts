/**
 * Terminal output as text with attributes. Our own, because what libraries make of it is HTML with inline styles, and a
 * content security policy without 'unsafe-inline' refuses those.
 */
export type Span = {
  text: string;
  fg?: string;
  bg?: string;
  bold?: boolean;
  faint?: boolean;
  italic?: boolean;
  underline?: boolean;
};
type Look = Omit<Span, "text">;

const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const;
/** CSI sequences (colours are those that end in m), and OSC sequences (titles, links). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
const SEQUENCE = /\u001b\[([0-9;:?]*)[ -/]*([@-~])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[@-Z\\-_]/g;

/** `fg` and `bg` are "red", "bright-red" or "rgb(r g b)". */
export function ansiSpans(output: string): Span[] {
  const text = overwritten(output);
  const spans: Span[] = [];
  let look: Look = {};
  let from = 0;
  const push = (to: number): void => {
    if (to > from) spans.push({ ...look, text: text.slice(from, to) });
  };
  for (const match of text.matchAll(SEQUENCE)) {
    push(match.index);
    from = match.index + match[0].length;
    if (match[2] === "m") look = lookAfter(look, match[1] ?? "");
  }
  push(text.length);
  return spans;
}

/** A carriage return goes back to the start of its line: of a progress bar the last state remains. */
function overwritten(output: string): string {
  if (!output.includes("\r")) return output;
  return output
    .replaceAll("\r\n", "\n")
    .split("\n")
    .map((line) => line.slice(line.lastIndexOf("\r", line.length - 2) + 1))
    .join("\n");
}

function lookAfter(before: Look, parameters: string): Look {
  let look = { ...before };
  const codes = parameters.split(/[;:]/).map(Number);
  for (let index = 0; index < codes.length; index++) {
    const code = codes[index] ?? 0;
    if (code === 0) look = {};
    else if (code === 1) look.bold = true;
    else if (code === 2) look.faint = true;
    else if (code === 3) look.italic = true;
    else if (code === 4) look.underline = true;
    else if (code === 22) look = { ...look, bold: undefined, faint: undefined };
    else if (code === 23) look.italic = undefined;
    else if (code === 24) look.underline = undefined;
    else if (code === 39) look.fg = undefined;
    else if (code === 49) look.bg = undefined;
    else if (code >= 30 && code <= 37) look.fg = NAMES[code - 30];
    else if (code >= 40 && code <= 47) look.bg = NAMES[code - 40];
    else if (code >= 90 && code <= 97) look.fg = `bright-${NAMES[code - 90]}`;
    else if (code >= 100 && code <= 107) look.bg = `bright-${NAMES[code - 100]}`;
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(codes.slice(index + 1));
      look[code === 38 ? "fg" : "bg"] = colour;
      index += used;
    }
  }
  return look;
}

/** `5;n` of the palette of 256, or `2;r;g;b`; with how many numbers that took. */
function extended([kind, ...rest]: number[]): [string | undefined, number] {
  if (kind === 2)
    return [
      `rgb(${rest
        .slice(0, 3)
        .map((value) => value & 255)
        .join(" ")})`,
      4,
    ];
  if (kind !== 5) return [undefined, 1];
  const n = (rest[0] ?? 0) & 255;
  if (n < 16) return [n < 8 ? NAMES[n] : `bright-${NAMES[n - 8]}`, 2];
  if (n >= 232)
    return [
      `rgb(${Array(3)
        .fill(8 + (n - 232) * 10)
        .join(" ")})`,
      2,
    ];
  const level = (value: number): number => (value === 0 ? 0 : 55 + value * 40);
  const cube = n - 16;
  return [`rgb(${level(Math.floor(cube / 36))} ${level(Math.floor(cube / 6) % 6)} ${level(cube % 6)})`, 2];
}
