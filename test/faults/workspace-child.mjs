/** A process that does one sync or restore, to be killed: `workspace-child.mjs <sync|restore> <JSON of the input> [step]`. */
import { restoreWorkspace } from "../../executor-host/workspace/restore.ts";
import { realTools } from "../../executor-host/workspace/store-client.ts";
import { syncWorkspace } from "../../executor-host/workspace/sync.ts";

const [verb, json, killBefore] = process.argv.slice(2);
const { epoch, url, ...input } = JSON.parse(json);
const whole = { ...input, store: { url, epoch, token: () => "token" } };
const result =
  verb === "sync"
    ? await syncWorkspace(whole)
    : await restoreWorkspace(whole, { ...realTools, ...(killBefore ? { failBefore: `SIGKILL ${killBefore}` } : {}) });
console.log(JSON.stringify(result));
process.exit(0);
