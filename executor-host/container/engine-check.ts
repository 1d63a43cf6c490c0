/**
 * Can this Docker engine hold a worker as REQUIREMENTS §2 wants it? Pure, over what `GET /info` says. An engine that
 * cannot set a limit would start the worker without it and only print a warning, so that is a refusal here.
 */
export type EngineInfo = {
  ServerVersion: string;
  OSType: string;
  OperatingSystem: string;
  InitBinary?: string;
  Runtimes?: Record<string, unknown>;
  SecurityOptions?: string[] | null;
  MemoryLimit?: boolean;
  PidsLimit?: boolean;
  CpuCfsQuota?: boolean;
};

type Verdict = { ok: true; version: string } | { ok: false; reason: string; fix: string };

/** @param microVmRuntime the OCI runtime that workers are to run on; absent: the engine's default */
export function judgeEngine(info: EngineInfo, microVmRuntime?: string): Verdict {
  const no = (reason: string, fix: string): Verdict => ({ ok: false, reason, fix });
  const security = (info.SecurityOptions ?? []).flatMap((option) => option.split(","));

  if (info.OSType !== "linux")
    return no(`The engine runs ${info.OSType} containers.`, "Switch it to Linux containers.");
  if (info.OperatingSystem.includes("Docker Desktop")) {
    return no(
      "Docker Desktop runs containers in a virtual machine, across which a Unix socket in a shared folder cannot be reached.",
      "Run this host on Linux with Docker Engine, or inside a Linux virtual machine.",
    );
  }
  if (security.includes("name=rootless") || security.includes("name=userns")) {
    return no(
      "The engine maps users (rootless or userns-remap), so the worker could not write the workspace that the host made.",
      "Use an engine without user mapping; workers run as an unprivileged user with all capabilities dropped anyway.",
    );
  }
  const missing = [
    info.MemoryLimit === false ? "memory" : [],
    info.CpuCfsQuota === false ? "cpu" : [],
    info.PidsLimit === false ? "pids" : [],
  ].flat();
  if (missing.length > 0) {
    return no(
      `The engine cannot limit ${missing.join(", ")}.`,
      "Give it these cgroup controllers (docker info names what is missing).",
    );
  }
  if (microVmRuntime !== undefined && !(microVmRuntime in (info.Runtimes ?? {}))) {
    return no(
      `The engine has no runtime "${microVmRuntime}".`,
      `Install Kata Containers with Firecracker and register it in the engine's daemon.json as "${microVmRuntime}".`,
    );
  }
  return { ok: true, version: info.ServerVersion };
}
