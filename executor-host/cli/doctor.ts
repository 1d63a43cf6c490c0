/** `gantry host doctor`: every check in order, the conclusion last; exit code 1 when one fails. */
import { readIdentity, readSettings, stateDirFrom, statePaths } from "../config.ts";
import {
  type CheckResult,
  checkControlPlane,
  checkDaemon,
  checkDocker,
  checkImage,
  checkJoined,
  checkNode,
  checkOutbox,
  checkState,
  checkToolkit,
} from "./checks.ts";
import { say } from "./output.ts";

export async function doctorCommand(options: { json?: true; state?: string }): Promise<void> {
  const { env } = process;
  const paths = statePaths(stateDirFrom(options.state, env));
  const state = checkState(paths);
  const results: CheckResult[] = [checkNode(), state];
  // Without a folder there is nothing more to look at in it.
  const usable = state.result === "ok";
  const identity = usable ? readIdentity(paths) : undefined;
  const settings = readSettings(paths, env);
  const docker = await checkDocker(settings);
  results.push(docker);
  if (docker.result === "ok") results.push(await checkImage(settings, (line) => process.stderr.write(`${line}\n`)));
  results.push(checkJoined(identity));
  if (identity) results.push(...(await checkControlPlane(paths, identity)));
  if (usable) results.push(...(await checkToolkit(paths, env)), checkOutbox(paths), checkDaemon(paths));

  const failed = results.filter(({ result }) => result === "fail").length;
  const warned = results.filter(({ result }) => result === "warn").length;
  if (options.json) say(JSON.stringify({ ok: failed === 0, failed, warned, checks: results }));
  else for (const line of describe(results, failed, warned)) say(line);
  if (failed > 0) process.exitCode = 1;
}

function describe(results: readonly CheckResult[], failed: number, warned: number): string[] {
  const lines = results.flatMap(({ name, result, detail, fix }) => [
    `${result.padEnd(5)} ${name.padEnd(22)} ${detail}`,
    ...(result !== "ok" && fix ? [`${" ".repeat(6)}fix: ${fix}`] : []),
  ]);
  const summary =
    failed > 0
      ? `${failed} of ${results.length} checks failed.`
      : `All ${results.length} checks passed${warned > 0 ? `, ${warned} with a warning` : ""}.`;
  return [...lines, "", summary];
}
