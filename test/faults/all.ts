/** Every fault there is, cheap ones first. */
import { alarms } from "./alarms.ts";
import { cancelOrders } from "./cancel-orders.ts";
import { diskFull } from "./disk-full.ts";
import { diskFullStart } from "./disk-full-start.ts";
import { engineKilled, engineKilledLive } from "./engine-killed.ts";
import { evicted } from "./evicted.ts";
import type { Fault } from "./fault.ts";
import { framesDisturbed } from "./frames-disturbed.ts";
import { halfOpen } from "./half-open.ts";
import { herd } from "./herd.ts";
import { containerKilled, daemonKilled, workerdKilled } from "./killed-processes.ts";
import { linkSwap } from "./link-swap.ts";
import { poisonFrames } from "./poison-frames.ts";
import { poisonRun } from "./poison-run.ts";
import { slowReader } from "./slow-reader.ts";
import { staleHost } from "./stale-host.ts";
import { twoHosts } from "./two-hosts.ts";
import { viewerCut } from "./viewer-cut.ts";
import { workspaceBits } from "./workspace-bits.ts";
import { workspaceCycles } from "./workspace-cycles.ts";
import { workspaceFull } from "./workspace-full.ts";
import { workspaceKilled } from "./workspace-killed.ts";
import { workspaceStore } from "./workspace-store.ts";
import { wrongClock } from "./wrong-clock.ts";

export const FAULTS: readonly Fault[] = [
  framesDisturbed,
  poisonFrames,
  twoHosts,
  staleHost,
  cancelOrders,
  poisonRun,
  evicted,
  viewerCut,
  slowReader,
  alarms,
  herd,
  wrongClock,
  linkSwap,
  workspaceBits,
  workspaceCycles,
  workspaceStore,
  workspaceKilled,
  workspaceFull,
  diskFull,
  diskFullStart,
  halfOpen,
  workerdKilled,
  daemonKilled,
  containerKilled,
  engineKilled,
  engineKilledLive,
];
