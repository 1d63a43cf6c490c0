/**
 * Takes out of a text whatever looks like a key, before the text leaves the container. The runner holds no keys, but a
 * program that the agent ran, or a model server's answer, may print one.
 */
const SECRETS: readonly RegExp[] = [
  // JSON Web Tokens
  /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{5,}/g,
  // Anthropic, OpenAI, Stripe
  /\b(?:sk|pk|rk)[-_][\w-]{8,}/g,
  // GitHub, GitLab, Slack, npm, Google, AWS
  /\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|npm_)[\w-]{10,}/g,
  /\bAIza[\w-]{20,}/g,
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
];
const NAMED =
  /\b(authorization|x-api-key|api[-_ ]?key|access[-_ ]?token|token|secret|password|passwd)(["']?\s*[:=]\s*["']?)((?:bearer|basic)\s+)?([^\s"',;]{6,})/gi;
const BEARER = /\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi;

export function redact(text: string): string {
  let out = text;
  for (const secret of SECRETS) out = out.replace(secret, "[redacted]");
  return out.replace(NAMED, "$1$2$3[redacted]").replace(BEARER, "$1 [redacted]");
}
