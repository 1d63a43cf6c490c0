/**
 * The operator's own agents of the provider `acp`: how each is started. The daemon takes them from its settings and puts
 * them into the toolkit, where the runner reads them.
 */
import { z } from "zod";

/** Of the toolkit's folder. */
export const ACP_AGENTS_FILE = "acp-agents.json";

export const acpAgentsSchema = z.record(
  z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  z.object({
    command: z.string().min(1).max(4_000),
    args: z.array(z.string().max(4_000)).max(100).default([]),
    env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string().max(32_000)).default({}),
  }),
);
export type AcpAgents = z.infer<typeof acpAgentsSchema>;
