/**
 * The environment of the programs that a run starts: an allow-list, so that nothing of the host or of the runner's own
 * environment leaks into an agent, plus what the daemon gave on purpose (`--env`). The worker's mark is handed on: by it the
 * daemon finds what a runner that was killed has left (container/process-tree.ts).
 */
const INHERITED = [
  "PATH",
  "HOME",
  "USER",
  "SHELL",
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "TZ",
  "TMPDIR",
  "TERM",
  "GANTRY_WORKER_MARK",
] as const;

export function childEnvironment(
  own: Readonly<Record<string, string | undefined>>,
  given: Readonly<Record<string, string>>,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = own[name];
    if (value !== undefined) env[name] = value;
  }
  return { ...env, ...given };
}
