/** What the objects of a stopped control plane have on disk, to be spoiled by a test as no code of ours would. */
import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";

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
