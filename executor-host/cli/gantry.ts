/** The command line as a tree of commands. Each command's work is in its own file, loaded when it is asked for. */
import { Command, InvalidArgumentError, Option } from "commander";
import { PROVIDER_ALIASES } from "#protocol/vocabulary.ts";
import { HOST_VERSION } from "../facts.ts";
import { CLI_PACKAGES, type CliPackage } from "../toolkit/clis.ts";
import type { JoinOptions } from "./join.ts";
import { CommandFailed } from "./output.ts";
import type { RunOptions } from "./run.ts";

type AskOptions = { json?: true; state?: string };

/** @param args without Node and script; sets the exit code, throws only defects */
export async function main(args: string[]): Promise<void> {
  try {
    await program().parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    process.stderr.write(`gantry: ${error.message}\n`);
    process.exitCode = error.exitCode;
  }
}

function program(): Command {
  const gantry = new Command("gantry").description("Run coding agents on machines you own.").version(HOST_VERSION);
  const host = gantry.command("host").description("this machine as an executor host");
  const state = () => new Option("--state <dir>", "the host's folder (default: GANTRY_STATE, else ~/.gantry/host)");

  host
    .command("join <url>")
    .description("register this machine with a control plane; doing it again changes nothing")
    .option("--token <token>", "join token; - reads it from stdin, a path from a file (default: GANTRY_JOIN_TOKEN)")
    .option("--name <name>", "how the host is shown (default: this machine's name)")
    .option("--label <key=value>", "label for placement, may be repeated", collectLabel, {})
    .option("--force", "forget the control plane that this folder belongs to", false)
    .addOption(state())
    .action(async (url: string, options: JoinOptions) => (await import("./join.ts")).joinCommand(url, options));
  host
    .command("run")
    .description("run the daemon in the foreground")
    .option("--allow-process-mode", "also run workers as plain processes, without any isolation (development only)")
    .option("--remove-workers-on-exit", "save and end every session before leaving, instead of leaving workers running")
    .addOption(state())
    .action(async (options: RunOptions) => (await import("./run.ts")).runCommand(options));
  host
    .command("status")
    .description("what the daemon is doing")
    .option("--json")
    .addOption(state())
    .action(async (options: AskOptions) => (await import("./status.ts")).statusCommand(options));
  host
    .command("doctor")
    .description("check everything a host needs; exit code 1 when something fails")
    .option("--json")
    .addOption(state())
    .action(async (options: AskOptions) => (await import("./doctor.ts")).doctorCommand(options));
  host
    .command("drain")
    .description("take no new work, save and give back every session, then end the daemon")
    .addOption(state())
    .action(async (options: AskOptions) => (await import("./status.ts")).drainCommand(options));
  host
    .command("toolkit")
    .description("what is mounted into workers")
    .command("install <provider...>")
    .description(`install agent CLIs: ${CLI_PACKAGES.join(", ")}`)
    .addOption(state())
    .action(async (names: string[], options: AskOptions) =>
      (await import("./toolkit.ts")).toolkitInstallCommand(names.map(cliProvider), options),
    );
  const credentials = host
    .command("credentials")
    .description("what the agent CLIs on this machine sign in with, and which of it this host uses")
    .option("--json")
    .option("--yes", "use everything that can be used")
    .addOption(state())
    .action(async (options: AskOptions & { yes?: true }) =>
      (await import("./credentials.ts")).credentialsCommand(options),
    );
  credentials
    .command("use <name>")
    .description("let this host use it; the value stays where it is")
    .action(async (name: string, _options, command: Command) =>
      (await import("./credentials.ts")).useCredentialCommand(name, command.optsWithGlobals()),
    );
  credentials
    .command("forget <name>")
    .description("do not use it any more")
    .action(async (name: string, _options, command: Command) =>
      (await import("./credentials.ts")).forgetCredentialCommand(name, command.optsWithGlobals()),
    );
  return gantry;
}

function collectLabel(text: string, known: Record<string, string>): Record<string, string> {
  const separator = text.indexOf("=");
  if (separator < 1) throw new InvalidArgumentError("a label looks like key=value");
  return { ...known, [text.slice(0, separator)]: text.slice(separator + 1) };
}

function cliProvider(name: string): CliPackage {
  const known = CLI_PACKAGES.find((provider) => provider === (PROVIDER_ALIASES[name] ?? name));
  if (known) return known;
  throw new CommandFailed(`there is no CLI to install for "${name}"; known are ${CLI_PACKAGES.join(", ")}`, 2);
}
