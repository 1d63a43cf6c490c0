/**
 * Node's warnings, without the one that the Agent SDK gives at every run in which permissions are bypassed: it says that
 * canUseTool is not asked then, which is meant; questions still go through it. The last lines of the runner's log are read
 * as evidence when a worker dies, and must not be this.
 */
const EXPECTED = new Set(["CLAUDE_SDK_CAN_USE_TOOL_SHADOWED"]);

/** Replaces Node's own printing of warnings. */
export function printOnlyUnexpectedWarnings(): void {
  process.removeAllListeners("warning");
  process.on("warning", (warning: Error & { code?: string }) => {
    if (warning.code === undefined || !EXPECTED.has(warning.code)) console.error(`runner: ${warning.stack}`);
  });
}
