/**
 * Which of the operator's own credentials this host may use: local-credentials.json in the state folder names a variable,
 * or a file and a field in it. Never a value: a CLI that renews its sign-in renews it for the host, too.
 */
import { existsSync } from "node:fs";
import { isAbsolute } from "node:path";
import { z } from "zod";
import { readJson, type StatePaths, writeJson } from "../config.ts";
import { LOCAL_KINDS } from "./types.ts";

const referenceSchema = z.strictObject({
  /** What people call it. */
  name: z.string().min(1).max(200),
  kind: z.enum(LOCAL_KINDS),
  at: z.union([
    z.strictObject({ variable: z.string().min(1) }),
    z.strictObject({ file: z.string().refine(isAbsolute, "an absolute path"), field: z.array(z.string()).min(1) }),
  ]),
});
export type Reference = z.infer<typeof referenceSchema>;

const fileSchema = z.strictObject({ use: z.array(referenceSchema).max(100) });

/** In order: for each provider the first that fits it decides. @throws Error naming the file when it is damaged */
export function readReferences({ localCredentials }: Pick<StatePaths, "localCredentials">): Reference[] {
  return existsSync(localCredentials) ? readJson(localCredentials, fileSchema).use : [];
}

/** Puts them before what is used already. @throws Error naming the file when it is damaged */
export function addReferences(paths: Pick<StatePaths, "localCredentials">, added: readonly Reference[]): void {
  const names = new Set(added.map(({ name }) => name));
  const kept = readReferences(paths).filter(({ name }) => !names.has(name));
  writeJson(paths.localCredentials, { use: [...added, ...kept] }, 0o600);
}

/** @returns false when nothing of that name was used. @throws Error naming the file when it is damaged */
export function dropReference(paths: Pick<StatePaths, "localCredentials">, name: string): boolean {
  const known = readReferences(paths);
  const kept = known.filter((each) => each.name !== name);
  if (kept.length < known.length) writeJson(paths.localCredentials, { use: kept }, 0o600);
  return kept.length < known.length;
}
