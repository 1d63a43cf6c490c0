/**
 * What a daemon writes to, opened. On a full disk that may not be possible (a database needs its journal): then the daemon
 * waits until there is room. It has no connection meanwhile, so nobody gives it work.
 */
import { mkdirSync } from "node:fs";
import type { StatePaths } from "./config.ts";
import { Database } from "./database.ts";
import type { DiskRoom, Obstacle } from "./disk-room.ts";
import { ensureEncryptionKey, type SealedTo } from "./encryption-key.ts";
import { createOutboxTables } from "./link/outbox.ts";
import { createSessionTables } from "./session/records.ts";

export type OpenState = { database: Database; sealedTo: SealedTo };

/**
 * @param waiting told each time that it has to wait, and why
 * @throws what opening throws on a disk that has room
 */
export async function openState(
  paths: StatePaths,
  disk: DiskRoom,
  waiting: (obstacle: Obstacle) => void,
): Promise<OpenState> {
  for (;;) {
    try {
      return await open(paths);
    } catch (error) {
      await disk.look();
      if (!disk.obstacle) throw error;
      waiting(disk.obstacle);
      await disk.room(new AbortController().signal);
    }
  }
}

async function open(paths: StatePaths): Promise<OpenState> {
  for (const dir of [paths.sessions, paths.run, paths.egress]) mkdirSync(dir, { recursive: true, mode: 0o700 });
  const sealedTo = await ensureEncryptionKey(paths);
  const database = new Database(paths.database);
  try {
    database.keepReserve();
    createOutboxTables(database);
    createSessionTables(database);
    return { database, sealedTo };
  } catch (error) {
    database.close();
    throw error;
  }
}
