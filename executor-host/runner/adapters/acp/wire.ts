/**
 * The Agent Client Protocol (version 1) as far as we read it; field by field, and everything optional that an agent might
 * leave out: agents of many makers and versions are at the other end. See agentclientprotocol.com/protocol.
 */
import type { Meta } from "./failures.ts";

export const PROTOCOL_VERSION = 1;

export type Content = { type: string; text?: string };
/** What a tool shows: some content, a change of a file, or a terminal of ours. */
export type ToolContent = {
  type: string;
  content?: Content;
  path?: string;
  oldText?: string | null;
  newText?: string;
  terminalId?: string;
};
export type ToolCall = {
  toolCallId?: string;
  title?: string | null;
  name?: string | null;
  kind?: string | null;
  status?: string | null;
  content?: ToolContent[] | null;
  locations?: { path?: string }[] | null;
  rawInput?: unknown;
  rawOutput?: unknown;
  _meta?: (Meta & TerminalMeta & { claudeCode?: { toolName?: string; parentToolUseId?: string } }) | null;
  /** Not on the wire: what the agent's own terminal has shown in this call, gathered from its updates. */
  shown?: { output: string; exitCode?: number };
};
/** A convention beside the protocol, for commands that the agent runs by itself: pieces of the output, and how it ended. */
type TerminalMeta = {
  terminal_output?: { data?: string } | null;
  terminal_output_delta?: { data?: string } | null;
  terminal_exit?: { exit_code?: number | null } | null;
};
export type Update = ToolCall & {
  sessionUpdate?: string;
  messageId?: string | null;
  entries?: { content?: string; status?: string }[];
  cost?: { amount?: number; currency?: string } | null;
};

export type InitializeAnswer = {
  agentCapabilities?: { loadSession?: boolean; sessionCapabilities?: { resume?: unknown } };
};
type ConfigOption = {
  id?: string;
  category?: string | null;
  options?: { value?: string; options?: { value?: string }[] }[];
};
export type SessionAnswer = { sessionId?: string; configOptions?: ConfigOption[] | null };
export type PromptAnswer = {
  stopReason?: string;
  _meta?: Meta | null;
  usage?: {
    totalTokens?: number;
    inputTokens?: number;
    outputTokens?: number;
    cachedReadTokens?: number | null;
    cachedWriteTokens?: number | null;
    thoughtTokens?: number | null;
  } | null;
};

export type PermissionRequest = {
  toolCall?: ToolCall;
  options?: { optionId?: string; name?: string; kind?: string }[];
};
/** One field of a form that the agent wants to be filled in. */
export type Field = {
  type?: string;
  title?: string | null;
  description?: string | null;
  enum?: string[];
  oneOf?: { const?: string; title?: string; description?: string | null }[];
  items?: { enum?: string[]; anyOf?: { const?: string; title?: string; description?: string | null }[] };
};
export type ElicitationRequest = {
  mode?: string;
  message?: string;
  toolCallId?: string | null;
  requestedSchema?: { properties?: Record<string, Field>; required?: string[] | null };
};
