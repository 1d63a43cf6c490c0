/**
 * What is left out on purpose. Everything here is listed in the snapshot's `omitted` with its reason, and nothing else is
 * left out without being a problem that is reported.
 */
import type { Omission } from "#protocol/snapshot.ts";
import { AGENT_FOLDER } from "#protocol/snapshot-limits.ts";

/** Folders that tools fill again by themselves, by the end of their path. They ate the room of what matters (PEERS: SAM). */
const CACHE_FOLDERS = ["__pycache__", ".npm/_cacache", "node_modules/.cache", ".cache/pip", ".cache/go-build"];

/** Files in the agents' own folder that hold credentials: the host provides them anew, the store never sees them. */
const CREDENTIAL_FILES = [
  /^\.credentials\.json$/,
  /^auth\.json$/,
  /^credentials(\.json|\.toml)?$/,
  /^\.?netrc$/,
  /^\.git-credentials$/,
  /\.(key|pem|p12)$/,
  /^id_(rsa|dsa|ecdsa|ed25519)$/,
];

/** Why a folder stays out of the snapshot; undefined: it goes in. */
export function leftOutFolder(path: string): Omission | undefined {
  return CACHE_FOLDERS.some((end) => path === end || path.endsWith(`/${end}`)) ? "cache" : undefined;
}

/** Why a file or link stays out of the snapshot; undefined: it goes in. */
export function leftOutFile(path: string): Omission | undefined {
  if (!path.startsWith(`${AGENT_FOLDER}/`)) return undefined;
  const name = path.slice(path.lastIndexOf("/") + 1);
  return CREDENTIAL_FILES.some((pattern) => pattern.test(name)) ? "credential" : undefined;
}

/** Does an omission mean that something a person made is not in the snapshot, or not as it was? */
export function isProblem(reason: Omission): boolean {
  return reason !== "cache" && reason !== "credential";
}
