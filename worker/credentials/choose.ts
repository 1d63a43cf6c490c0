/** Which credentials a session gets. Pure. */
import type { CredentialKind } from "#protocol/vocabulary.ts";

export type Choosable = {
  id: string;
  kind: CredentialKind;
  appId: string | null;
  baseUrl: string | null;
  header: string | null;
  createdAt: number;
};

/**
 * One per purpose: a vendor's models, or a header of a destination. The one that the app names comes first, then the app's
 * own, then the organisation's; of equals the newest, so that a replacement counts as soon as it is there.
 */
export function chooseCredentials<T extends Choosable>(
  all: readonly T[],
  app: { id: string; credentialId?: string } | undefined,
): T[] {
  const rank = ({ id, appId }: Choosable) => (id === app?.credentialId ? 2 : appId === null ? 0 : 1);
  const chosen = new Map<string, T>();
  const usable = all.filter(({ appId }) => appId === null || appId === app?.id);
  for (const each of usable.sort((a, b) => rank(b) - rank(a) || b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1))) {
    const purpose = purposeOf(each);
    if (!chosen.has(purpose)) chosen.set(purpose, each);
  }
  return [...chosen.values()];
}

/** An OpenAI-compatible API is used instead of OpenAI's, not beside it. */
function purposeOf({ kind, baseUrl, header }: Choosable): string {
  if (kind === "header") return `header ${header} ${baseUrl}`;
  return kind === "openai-compatible" ? "openai" : kind;
}
