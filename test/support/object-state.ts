/** What the objects of a stopped control plane have on disk, to be spoiled by a test as no code of ours would. */
import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { objectName } from "#protocol/ids.ts";

const AN_HOUR_MS = 60 * 60_000;

export class ObjectState {
  readonly #folder: string;

  /** @param stateDir of a control plane that does not run */
  constructor(stateDir: string) {
    this.#folder = join(stateDir, "workerd", "do");
  }

  /** The pool's tables; there is one pool in these tests. */
  fleet(change: (sql: DatabaseSync) => void): void {
    const [file] = this.#files("FleetObject");
    if (!file) throw new Error("there is no pool");
    open(file, change);
  }

  /** The tables of one session; answers their file. */
  session(sessionId: string, change: (sql: DatabaseSync) => void): string {
    for (const file of this.#files("SessionObject")) {
      let found = false;
      open(file, (sql) => {
        const row = sql.prepare("SELECT identity FROM checkpoint").get() as { identity: string } | undefined;
        found = row !== undefined && JSON.parse(row.identity).sessionId === sessionId;
        if (found) change(sql);
      });
      if (found) return file;
    }
    throw new Error(`${sessionId} has no object`);
  }

  /**
   * The session's alarm will not ring: the scheduler does not know of it any more. `"altogether"`: the object's own
   * storage does not, either.
   */
  forgetAlarm(sessionId: string, where: "scheduler" | "altogether"): void {
    const file = this.session(sessionId, (sql) => {
      if (where === "altogether") sql.exec("DELETE FROM _cf_METADATA");
    });
    open(join(dirname(file), "metadata.sqlite"), (sql) => {
      const { changes } = sql.prepare("DELETE FROM _cf_ALARM WHERE actor_id = ?").run(basename(file, ".sqlite"));
      if (changes !== 1) throw new Error(`${sessionId} has no alarm`);
    });
  }

  /**
   * The session's alarm rings as soon as the control plane is there, an hour late, with everything due that `names` has:
   * for the first time, or once more.
   */
  ringAlarm(sessionId: string, names: readonly string[]): void {
    const past = Date.now() - AN_HOUR_MS;
    // The platform's own tables hold nanoseconds.
    const at = BigInt(past) * 1_000_000n;
    let name = "";
    const file = this.session(sessionId, (sql) => {
      const { identity } = sql.prepare("SELECT identity FROM checkpoint").get() as { identity: string };
      name = objectName(JSON.parse(identity).organizationId, sessionId);
      for (const each of names) sql.prepare("INSERT OR REPLACE INTO deadline VALUES (?, ?)").run(each, past);
      sql.prepare("INSERT OR REPLACE INTO _cf_METADATA (key, value) VALUES (1, ?)").run(at);
    });
    open(join(dirname(file), "metadata.sqlite"), (sql) => {
      const ring = "INSERT OR REPLACE INTO _cf_ALARM (actor_id, scheduled_time, actor_name) VALUES (?, ?, ?)";
      sql.prepare(ring).run(basename(file, ".sqlite"), at, name);
    });
  }

  #files(className: string): string[] {
    const folder = join(this.#folder, `gantry-${className}`);
    return readdirSync(folder)
      .filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite")
      .map((name) => join(folder, name));
  }
}

function open(file: string, change: (sql: DatabaseSync) => void): void {
  const sql = new DatabaseSync(file);
  try {
    change(sql);
  } finally {
    sql.close();
  }
}
