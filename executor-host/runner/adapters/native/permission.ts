/** Leave for what the agent wants to do, from the people of the session, where the mode says that they are asked. */
import type { AdapterContext } from "../adapter.ts";
import type { PermissionMode } from "./settings.ts";

/** A person said no; the message is for the agent. */
export class Refused extends Error {
  constructor(reason: string | undefined) {
    super(
      reason === undefined ? "The user refused this. Ask, or find another way." : `The user refused this: ${reason}`,
    );
    this.name = "Refused";
  }
}

export type Wish = {
  tool: "bash" | "write" | "edit";
  /** What "allow for this session" would allow is this, with this tool. */
  object: string;
  detail: Record<string, unknown>;
  toolCallId: string;
};

/** Resolves when it may be done. @throws Refused */
export async function allowed(mode: PermissionMode, wish: Wish, cwd: string, { ask }: AdapterContext): Promise<void> {
  if (mode === "bypass" || (mode === "acceptEdits" && wish.tool !== "bash")) return;
  const { tool, object, detail, toolCallId } = wish;
  const title = tool === "bash" ? "The agent wants to run a command" : "The agent wants to change a file";
  const resolution = await ask({
    kind: "permission",
    title,
    detail: { tool, ...detail, cwd },
    toolCallId,
    rule: `${tool}(${object})`,
  });
  if (resolution.decision === "allow") return;
  throw new Refused(resolution.decision === "deny" ? resolution.reason : "The run is being stopped.");
}
