/** The parts of a pool that operators and sweeps deal with. */
import type { ControlSockets } from "./control-sockets.ts";
import { HostReports } from "./host-reports.ts";
import { PoolSettingsStore } from "./pool-settings.ts";
import type { PoolCareNeeds } from "./reconcile.ts";

type Parts = Pick<PoolCareNeeds, "store" | "fleet" | "chores" | "session"> & { sockets: ControlSockets };
export type Care = Parts & { settings: PoolSettingsStore; reports: HostReports };

export function careOf(storage: DurableObjectStorage, parts: Parts): Care {
  return {
    ...parts,
    settings: new PoolSettingsStore(storage, parts.sockets),
    reports: new HostReports(storage),
  };
}
