/** The command that installs a CLI on this host, as it can be pasted into a shell. */
import { homedir } from "node:os";
import path from "node:path";
import type { CliPackage } from "./clis.ts";

/**
 * With the default state folder the command needs no more words. Any other folder, `npm start`'s for one, has to be
 * named: shortest from where the daemon was started, which for `npm start` is the clone, where npx finds `gantry`.
 * @param stateDir absolute
 */
export function installCommand(
  provider: CliPackage,
  stateDir: string,
  { cwd = process.cwd(), home = homedir() }: { cwd?: string; home?: string } = {},
): string {
  const command = `gantry host toolkit install ${provider}`;
  if (stateDir === path.join(home, ".gantry", "host")) return command;
  const relative = path.relative(cwd, stateDir) || ".";
  return `npx ${command} --state ${quoted(relative.length < stateDir.length ? relative : stateDir)}`;
}

/** As one word of a POSIX shell. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
