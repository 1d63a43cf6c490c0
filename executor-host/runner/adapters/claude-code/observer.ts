/**
 * What Claude Code's own messages say beyond the stream of parts: the conversation's name, usage, and how it ended. The
 * AI SDK's stream carries less of it, and nothing of it when the run is cut short.
 */
import { classify, evidenceOf, type Failure } from "../../failure.ts";
import type { ProviderUsage } from "../adapter.ts";
import { type ModelUsage, noSpending, type Spending, since, spendingOf, toUsage } from "./spending.ts";

/** The fields we read of the Agent SDK's messages. */
type SdkMessage = {
  type: string;
  subtype?: string;
  session_id?: string;
  error?: string;
  error_status?: number | null;
  api_error_status?: number | null;
  is_error?: boolean;
  result?: string;
  errors?: string[];
  total_cost_usd?: number;
  modelUsage?: Record<string, ModelUsage>;
  message?: { id?: string; model?: string; content?: unknown; usage?: TurnUsage };
};
type TurnUsage = {
  input_tokens?: number;
  output_tokens?: number;
  cache_read_input_tokens?: number | null;
  cache_creation_input_tokens?: number | null;
};

export class Observer {
  readonly #onConversation: (conversationId: string) => void;
  readonly #onRetry: (detail: string) => void;
  readonly #turns = new Map<string, ModelUsage>();
  #conversationId: string | undefined;
  #before = noSpending;
  #final: Spending | undefined;
  #lastStatus: number | undefined;
  #errorWords: string | undefined;
  /** Claude Code says an error of the model server as if it were the assistant's text. */
  #saidError = false;

  constructor(onConversation: (conversationId: string) => void, onRetry: (detail: string) => void) {
    this.#onConversation = onConversation;
    this.#onRetry = onRetry;
  }

  see(raw: unknown): void {
    const message = raw as SdkMessage;
    if (message.type === "system" && message.subtype === "init") this.#seeConversation(message.session_id);
    if (message.type === "system" && message.subtype === "api_retry") {
      this.#lastStatus = message.error_status ?? undefined;
      const said = message.error_status ? `answered ${message.error_status}` : "broke off or did not answer";
      this.#onRetry(`The model server ${said} (${message.error}); trying again.`);
    }
    if (message.type === "assistant") this.#seeAssistant(message);
    if (message.type === "result") this.#seeResult(message);
  }

  /** True once an error has been said in the assistant's place. */
  get saidError(): boolean {
    return this.#saidError;
  }

  /** The failure that Claude Code itself reported; undefined when it reported none. */
  get failure(): Failure | undefined {
    if (this.#errorWords === undefined) return undefined;
    return {
      reason: classify(this.#errorWords, this.#lastStatus),
      evidence: evidenceOf(this.#errorWords),
    };
  }

  /** What the conversation had used before this run; the CLI counts on from there. */
  set before(spending: Spending) {
    this.#before = spending;
  }

  /** All models and subagents together; up to the last finished turn when the run was cut short. */
  get usage(): ProviderUsage | undefined {
    if (this.#final) return toUsage(since(this.#before, this.#final));
    if (this.#turns.size === 0) return undefined;
    return toUsage(spendingOf(Object.fromEntries(this.#turns), undefined));
  }

  #seeConversation(conversationId: string | undefined): void {
    if (conversationId === undefined || conversationId === this.#conversationId) return;
    this.#conversationId = conversationId;
    this.#onConversation(conversationId);
  }

  #seeAssistant({ error, message }: SdkMessage): void {
    if (error !== undefined) {
      this.#saidError = true;
      this.#errorWords = `${textOf(message?.content)} (${error})`;
    }
    const { id, usage } = message ?? {};
    if (id === undefined || !usage) return;
    this.#turns.set(id, {
      inputTokens: usage.input_tokens ?? 0,
      outputTokens: usage.output_tokens ?? 0,
      cacheReadInputTokens: usage.cache_read_input_tokens ?? 0,
      cacheCreationInputTokens: usage.cache_creation_input_tokens ?? 0,
    });
  }

  #seeResult(message: SdkMessage): void {
    this.#seeConversation(message.session_id);
    this.#final = spendingOf(message.modelUsage, message.total_cost_usd);
    this.#lastStatus = message.api_error_status ?? this.#lastStatus;
    if (message.is_error || (message.subtype ?? "success") !== "success")
      this.#errorWords ??= message.result ?? message.errors?.join("\n") ?? message.subtype ?? "an error without words";
  }
}

function textOf(content: unknown): string {
  if (!Array.isArray(content)) return "";
  return content
    .flatMap((block: { text?: unknown }) => (typeof block.text === "string" ? [block.text] : []))
    .join("\n");
}
