/** The settings of a pool, and how they reach its hosts: at once those that are there, the others when they come back. */
import { applyPatch, type PoolSettingsPatch, poolSettings, type VersionedSettings } from "#protocol/pool-settings.ts";
import { upgrade } from "../shell/schema.ts";
import type { ControlSockets } from "./control-sockets.ts";

/** Each setting by its name: one that was taken back while a host was away goes back to the host's own, too. */
const UNSET = Object.fromEntries(Object.keys(poolSettings.shape).map((name) => [name, null]));

export class PoolSettingsStore {
  readonly #sql: SqlStorage;
  readonly #sockets: ControlSockets;

  constructor(storage: DurableObjectStorage, sockets: ControlSockets) {
    this.#sql = storage.sql;
    this.#sockets = sockets;
    upgrade(storage, "pool-settings", [
      "CREATE TABLE IF NOT EXISTS settings (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, body TEXT NOT NULL)",
    ]);
  }

  read(): VersionedSettings {
    const [row] = this.#sql.exec<{ version: number; body: string }>("SELECT version, body FROM settings").toArray();
    return row ? { version: row.version, settings: JSON.parse(row.body) } : { version: 0, settings: {} };
  }

  /** @param hostIds whoever is connected of them hears it now */
  change(patch: PoolSettingsPatch, hostIds: readonly string[]): VersionedSettings {
    const { version, settings } = this.read();
    const changed = { version: version + 1, settings: applyPatch(settings, patch) };
    this.#sql.exec(
      "INSERT INTO settings (id, version, body) VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET version = excluded.version, body = excluded.body",
      changed.version,
      JSON.stringify(changed.settings),
    );
    for (const hostId of hostIds) if (this.#sockets.isConnected(hostId)) this.tell(hostId);
    return changed;
  }

  /** What is set now; nothing is said while nothing was ever set. */
  tell(hostId: string): void {
    const { version, settings } = this.read();
    if (version > 0) this.#sockets.send(hostId, { type: "config_update", config: { ...UNSET, ...settings } });
  }
}
