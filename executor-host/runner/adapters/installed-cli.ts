/** Whether an agent's CLI is in the toolkit. What it says about itself stands in the manifest it was installed from. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Provider } from "#protocol/vocabulary.ts";
import type { AdapterReadiness } from "./adapter.ts";

/** @param name as people know it. @throws when its manifest cannot be read though the binary is there */
export function cliReadiness(toolkitDir: string, provider: Provider, name: string, binary: string): AdapterReadiness {
  if (!existsSync(binary)) {
    // The command depends on the host's state folder, which a worker does not know.
    const evidence = `${name} is not installed on this host. The Hosts page shows the command that installs it.`;
    return { ready: false, failure: { reason: "cli_missing", evidence } };
  }
  const manifest: { version?: string } = JSON.parse(
    readFileSync(path.join(toolkitDir, provider, "package.json"), "utf8"),
  );
  return { ready: true, version: manifest.version };
}
