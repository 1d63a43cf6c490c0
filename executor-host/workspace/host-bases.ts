/** The warm bases of a host: where they are, which of them are lain on, and whether this machine can have them at all. */
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { Settings, StatePaths } from "../config.ts";
import type { Logger } from "../logs.ts";
import { readLayer } from "./layer.ts";
import { unmount } from "./overlay.ts";
import type { Bases } from "./port.ts";
import { canKeepBases } from "./warm-base.ts";

const ENGINE_PID_FILE = "/run/docker.pid";

/** Answers a function that tries once, when a workspace is restored first. */
export function hostBases(paths: StatePaths, settings: Settings, logger: Logger): () => Bases | undefined {
  let able: boolean | undefined;
  return () => {
    if (settings.warmBases === 0) return undefined;
    if (able === undefined) {
      able = engineSeesOurMounts() && canKeepBases(paths.bases);
      logger.info({ able }, "whether sessions can lie on warm bases");
    }
    if (!able) return undefined;
    mkdirSync(paths.bases, { recursive: true, mode: 0o700 });
    return { folder: paths.bases, atMost: settings.warmBases, inUse: () => basesInUse(paths.sessions) };
  };
}

/**
 * Takes the mounts off the workspaces of sessions that nobody works in: whoever needs one mounts it again. So a host that
 * ended in good order leaves no mount behind. For a moment in which nothing syncs: an unmounted layer looks empty.
 */
export function unmountIdle({ sessions }: StatePaths, isIdle: (sessionId: string) => boolean): void {
  if (!existsSync(sessions)) return;
  for (const sessionId of readdirSync(sessions)) {
    const root = join(sessions, sessionId, "workspace");
    if (readLayer(join(sessions, sessionId, "sync")) !== undefined && isIdle(sessionId)) unmount(root);
  }
}

/** A container is given a folder by its path; an engine in another mount namespace would find an empty one there. */
function engineSeesOurMounts(): boolean {
  try {
    const pid = readFileSync(ENGINE_PID_FILE, "utf8").trim();
    return readlinkSync(`/proc/${pid}/ns/mnt`) === readlinkSync("/proc/self/ns/mnt");
  } catch {
    // No engine here, or none that says where it is.
    return false;
  }
}

/** Workspaces that were set aside lie on their base, too. */
function basesInUse(sessions: string): Set<string> {
  const used = new Set<string>();
  for (const session of readdirSync(sessions)) {
    const kept = join(sessions, session, "kept");
    const set = existsSync(kept) ? readdirSync(kept).map((name) => join(kept, name)) : [];
    for (const stateDir of [join(sessions, session, "sync"), ...set.filter((path) => path.endsWith(".sync"))]) {
      const layer = readLayer(stateDir);
      if (layer !== undefined) used.add(layer.base);
    }
  }
  return used;
}
