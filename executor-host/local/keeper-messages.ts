/**
 * What control-plane.ts and the process that it starts, workerd-keeper.ts, say to each other. A file of its own, so that
 * the one does not load Miniflare, which only the other needs: 0.4 s of CPU.
 */
import type { MiniflareInput } from "./miniflare-options.ts";

/** What the keeper is started with, as the first message of its parent. */
export type KeeperStart = Omit<MiniflareInput, "scripts"> & {
  scriptPaths: MiniflareInput["scripts"];
  storageDir: string;
};
/** What it says: each workerd it starts, once that it is ready, and what workerd logs. */
export type KeeperMessage =
  | { type: "workerd"; pid: number }
  | { type: "ready" }
  | { type: "log"; level: string; message: string };
/** The listening sockets that it is handed. */
export const KEEPER_FDS = { public: 4, control: 5, entry: 6 } as const;
