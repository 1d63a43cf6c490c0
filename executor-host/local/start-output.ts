/** What a person or a script gets to see. Standard output carries the result alone; everything else goes to standard error. */
import { spawn } from "node:child_process";
import { styleText } from "node:util";

export type Ready = { url: string; signInUrl: string; serviceToken: string; hostId: string };

type Part = "gantry" | "control" | "host";
const colours = { gantry: "green", control: "cyan", host: "magenta" } as const;
const levels: Record<string, string> = {
  "10": "trace",
  "20": "debug",
  "30": "info",
  "40": "warn",
  "50": "error",
  "60": "fatal",
};

/** Writes one line of a part of Gantry; lines of JSON logs become readable in a terminal and stay as they are elsewhere. */
export function printLog(part: Part, line: string): void {
  const tty = process.stderr.isTTY;
  if (line.trim() === "" || (tty && isRoutine(line))) return;
  const name = part.padEnd(7);
  process.stderr.write(`${tty ? styleText(colours[part], name) : name} ${tty ? readable(line) : line}\n`);
}

/** The one result: a line of JSON for scripts, else a few lines for people. */
export function printReady(ready: Ready, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(ready)}\n`);
    return;
  }
  const link = process.stdout.isTTY ? styleText(["bold", "underline"], ready.signInUrl) : ready.signInUrl;
  process.stdout.write(`
  Gantry runs. Open this link once to sign in (it is good for one use):

    ${link}

  Later: ${ready.url}
  Ctrl-C stops everything; the next \`npm start\` goes on from there.

`);
}

/** Opens the portal with whatever the desktop has; the printed link is there when it has nothing. */
export function openBrowser(url: string): void {
  const command = process.platform === "darwin" ? "open" : process.platform === "win32" ? "explorer" : "xdg-open";
  const child = spawn(command, [url], { stdio: "ignore", detached: true });
  child.once("error", () => printLog("gantry", "No browser could be opened; use the link."));
  child.unref();
}

/** Requests that went well fill a terminal in no time; who keeps the log in a file gets them. */
function isRoutine(line: string): boolean {
  return line.startsWith('{"level":"info","event":"request"');
}

function readable(line: string): string {
  if (!line.startsWith("{")) return line;
  try {
    const { level, msg, message, time: _time, pid: _pid, hostname: _hostname, component, ...rest } = JSON.parse(line);
    const details = Object.entries(rest).map(
      ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
    const name = levels[String(level)] ?? String(level ?? "");
    const words = [component, msg ?? message].filter((word) => word !== undefined).join(": ");
    return `${name === "info" ? "" : `${name} `}${words} ${styleText("dim", details.join(" "))}`;
  } catch (error) {
    if (error instanceof SyntaxError) return line; // Looked like JSON and was not.
    throw error;
  }
}
