/**
 * What people allowed "for this session", by exact rule. Kept in a file beside the spool, so that a runner that starts
 * again does not ask again.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";

export class Grants {
  readonly #file: string;
  readonly #rules: Set<string>;

  /** @param file created with the first grant. @throws when it exists and is not ours */
  constructor(file: string) {
    this.#file = file;
    this.#rules = new Set(readRules(file));
  }

  has(rule: string): boolean {
    return this.#rules.has(rule);
  }

  /** Remembers a rule; on disk when this returns. */
  add(rule: string): void {
    if (this.#rules.has(rule)) return;
    this.#rules.add(rule);
    const temporary = `${this.#file}.${process.pid}`;
    writeFileSync(temporary, JSON.stringify([...this.#rules]), { mode: 0o600 });
    renameSync(temporary, this.#file);
  }
}

function readRules(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const rules: unknown = JSON.parse(text);
  if (!Array.isArray(rules) || rules.some((rule) => typeof rule !== "string"))
    throw new Error(`${file} is not a list of rules`);
  return rules;
}
