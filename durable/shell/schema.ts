/**
 * The tables of an object, brought up to date when it wakes. Each owner of tables has a name and a list of steps; a step
 * that has run never runs again, and how many have run stands in the object itself. So state that an older version wrote
 * opens under a newer one.
 *
 * Steps only add (a table, a column with a default, an index): the version before, which a rollback brings back, goes on
 * working on what a newer one has made. A step that has landed is never edited; a change is a new step.
 */

/**
 * Runs the steps that this object has not seen yet, all or none.
 * @param owner whose tables they are, the same name for good
 * @param steps one SQL statement each, in the order in which they came about
 */
export function upgrade(storage: DurableObjectStorage, owner: string, steps: readonly string[]): void {
  const { sql } = storage;
  sql.exec("CREATE TABLE IF NOT EXISTS schema (owner TEXT PRIMARY KEY, steps INTEGER NOT NULL) WITHOUT ROWID");
  const done = sql.exec<{ steps: number }>("SELECT steps FROM schema WHERE owner = ?", owner).toArray()[0]?.steps ?? 0;
  if (done >= steps.length) return;
  storage.transactionSync(() => {
    for (const step of steps.slice(done)) sql.exec(step);
    sql.exec(
      "INSERT INTO schema (owner, steps) VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET steps = excluded.steps",
      owner,
      steps.length,
    );
  });
}
