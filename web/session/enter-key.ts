/**
 * When Enter sends. People who write Chinese, Japanese or Korean press Enter to choose a word; browsers tell it in three
 * ways, and Safari in none of them but the time: its keydown comes just after `compositionend`.
 */
const AFTER_COMPOSITION_MS = 30;

export type EnterPress = {
  key: string;
  shiftKey: boolean;
  isComposing: boolean;
  keyCode: number;
  /** When the last composition ended, and when this key came; the same clock. */
  compositionEndedAt: number | undefined;
  at: number;
  /** No keyboard with modifiers at hand: Enter is a new line, the button sends. */
  touch: boolean;
};

export function enterSends(press: EnterPress): boolean {
  if (press.key !== "Enter" || press.shiftKey || press.touch) return false;
  if (press.isComposing || press.keyCode === 229) return false;
  return press.compositionEndedAt === undefined || press.at - press.compositionEndedAt > AFTER_COMPOSITION_MS;
}
