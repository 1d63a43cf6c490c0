/**
 * Loaded before a program: its `Date` is wrong by SHIFT_MS, and after a SIGUSR2 by as much the other way. Timers are what
 * they were, as on a machine whose clock was set.
 */
const Right = Date;
let shiftMs = Number(process.env.SHIFT_MS ?? 0);

globalThis.Date = class extends Right {
  constructor(...args) {
    super(...(args.length === 0 ? [Right.now() + shiftMs] : args));
  }
  static now() {
    return Right.now() + shiftMs;
  }
};
process.on("SIGUSR2", () => {
  shiftMs = -shiftMs;
});
