/** Where things are in a checkout. */
import { join } from "node:path";

export const repositoryDir = join(import.meta.dirname, "..", "..");

/** Absolute path of something in the checkout. */
export function inRepository(...parts: string[]): string {
  return join(repositoryDir, ...parts);
}
