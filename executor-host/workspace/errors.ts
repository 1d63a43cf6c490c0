/** The system's code of an error (ENOENT …), or its message when it has none. */
export function codeOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return error instanceof Error ? error.message : String(error);
}

/** Something in the workspace is not what can be kept; `code` says what. */
export class OddFile extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.name = "OddFile";
    this.code = code;
  }
}

/** Out of descriptors or memory: not the file's fault, and going on would call good files unreadable. */
const OURS = new Set(["EMFILE", "ENFILE", "ENOMEM"]);

/** Is this the answer of the file system about one file, and not a failure of ours? */
export function isAboutTheFile(error: unknown): boolean {
  if (error instanceof OddFile) return true;
  return error instanceof Error && "syscall" in error && !OURS.has(codeOf(error));
}
