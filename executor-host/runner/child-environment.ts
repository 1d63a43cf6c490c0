/**
 * The environment of the programs that a run starts: an allow-list, so that nothing of the host or of the runner's own
 * environment leaks into an agent, plus what the daemon gave on purpose (`--env`).
 */
const INHERITED = ["PATH", "HOME", "USER", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TERM"] as const;

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
