import { describe, expect, it } from "vitest";
import { type EnterPress, enterSends } from "../../web/session/enter-key.ts";

const press: EnterPress = {
  key: "Enter",
  shiftKey: false,
  isComposing: false,
  keyCode: 13,
  compositionEndedAt: undefined,
  at: 1_000,
  touch: false,
};

describe("Enter", () => {
  it("sends", () => expect(enterSends(press)).toBe(true));
  it("with Shift is a new line", () => expect(enterSends({ ...press, shiftKey: true })).toBe(false));
  it("on a touch device is a new line", () => expect(enterSends({ ...press, touch: true })).toBe(false));
  it("while a word is being composed chooses the word", () => {
    expect(enterSends({ ...press, isComposing: true })).toBe(false);
    expect(enterSends({ ...press, keyCode: 229 })).toBe(false);
  });
  it("within 30 ms after a composition ended belongs to it (Safari)", () => {
    expect(enterSends({ ...press, compositionEndedAt: 995 })).toBe(false);
    expect(enterSends({ ...press, compositionEndedAt: 970 })).toBe(false);
    expect(enterSends({ ...press, compositionEndedAt: 969 })).toBe(true);
  });
  it("is the only key that sends", () => expect(enterSends({ ...press, key: "a" })).toBe(false));
});
