/** What commands say: results on stdout, everything else on stderr. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** A failure that the user can act on: its message is shown without a stack. */
export class CommandFailed extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = "CommandFailed";
    this.exitCode = exitCode;
  }
}
