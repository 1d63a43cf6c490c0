/**
 * From an AI SDK chat to a session: which session a chat is, what is asked, and under which command id, so that the same
 * request again is the same run.
 */
import { type ChatBody, type ChatMessage, startRunBody } from "#protocol/http.ts";
import { derivedId, sessionIdSchema } from "#protocol/ids.ts";
import { type AppContext, commandContext, idempotencyKey } from "../context.ts";
import { refuse, unwrap } from "../errors.ts";
import { sessionObject } from "../objects.ts";
import { createSession } from "../routes/create-session.ts";
import { promptOf, type StartedRun, titleFrom } from "../routes/run-start.ts";

/** `named`: the chat's id is the client's own, and its first message makes the session. */
export type ChatSession = { sessionId: string; named: boolean };

/** A session id stands for itself; any other name always for the same session of whoever asks. */
export async function chatSession(c: AppContext, chatId: string): Promise<ChatSession> {
  const known = sessionIdSchema.safeParse(chatId);
  const { organizationId, id } = c.var.principal;
  const sessionId = known.success ? known.data : await derivedId("ses", organizationId, id, "chat", chatId);
  c.set("log", c.var.log.with({ sessionId }));
  return { sessionId, named: !known.success };
}

/**
 * Queues the run that the chat's last message asks for, or finds the one that it asked for before.
 * @throws Refused what the session refuses; `malformed`, `attachments_unsupported` for what cannot be a prompt
 */
export async function startChat(c: AppContext, body: ChatBody): Promise<StartedRun> {
  const message = lastUserMessage(body);
  const text = textOf(message);
  const { provider, model, providerOptions, runTimeoutMs, retryOn, requires } = body;
  const prompt = promptOf({ prompt: text, provider, model, providerOptions, runTimeoutMs, retryOn, requires });
  const commandId = (await idempotencyKey(c)) ?? (await commandIdOf(body, message, text));
  const context = { ...(await commandContext(c)), ...(commandId === undefined ? {} : { commandId }) };
  const { sessionId, named } = await chatSession(c, body.id);
  const session = sessionObject(c.env, c.var.principal.organizationId, sessionId);
  let asked = await session.prompt(prompt, context);
  if (!asked.ok && asked.reason === "not_found" && named) {
    const first = { model, providerOptions, requires };
    await createSession(c, { title: titleFrom(text), provider }, { known: sessionId, first });
    asked = await session.prompt(prompt, context);
  }
  const { runId, cursor } = unwrap(asked);
  c.set("log", c.var.log.with({ runId }));
  return { session, sessionId, runId, cursor };
}

function lastUserMessage({ message, messages = [] }: ChatBody): ChatMessage {
  const found = [...messages, ...(message ? [message] : [])].findLast(({ role }) => role === "user");
  return found ?? refuse("malformed", "messages: there is no message of the user in it");
}

/** @throws Refused */
function textOf(message: ChatMessage): string {
  if (message.parts.some(({ type }) => type === "file")) {
    refuse("attachments_unsupported", "a message can bring text only; files belong into the session's workspace");
  }
  const text = message.parts.flatMap((part) => (part.type === "text" ? [part.text ?? ""] : [])).join("\n");
  const prompt = startRunBody.shape.prompt.safeParse(text);
  if (prompt.success) return prompt.data;
  return refuse("malformed", `messages: ${prompt.error.issues[0]?.message}`);
}

/**
 * The message's own id. An edited message and a repeated answer ask for something new under an id that was used, and are
 * named by what they change; undefined when that is not said, and the request cannot be told from the next one.
 */
async function commandIdOf(body: ChatBody, message: ChatMessage, text: string): Promise<string | undefined> {
  const { trigger, messageId } = body;
  if (trigger === "submit-message") {
    return messageId === undefined ? message.id : derivedId("msg", "edit", message.id, text);
  }
  return messageId === undefined ? undefined : derivedId("msg", "again", message.id, messageId);
}
