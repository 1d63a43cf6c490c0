/**
 * Whose turn it is in a pool's queue. A higher priority goes first. Within a priority people take turns, whoever was served
 * longest ago first, so that nobody's hundred runs hold up somebody else's one; each one's own runs go in the order they came.
 */
type InQueue = { request: { requestedBy: string; priority?: number } };

/**
 * Calls `serve` on each entry in its turn. Pure but for that.
 * @param queue in the order of arrival
 * @param lastTurns when each person was last served, as a number that grows; nobody's turn yet: not in it
 * @param serve answers whether the entry was served; what was not does not cost its owner the turn
 */
export function inTurn<Entry extends InQueue>(
  queue: readonly Entry[],
  lastTurns: ReadonlyMap<string, number>,
  serve: (entry: Entry) => boolean,
): void {
  const turns = new Map(lastTurns);
  let clock = Math.max(0, ...turns.values());
  for (const level of [...Map.groupBy(queue, priorityOf)].sort(([a], [b]) => b - a)) {
    const lanes = Map.groupBy(level[1], ({ request }) => request.requestedBy);
    while (lanes.size > 0) {
      const person = nextPerson([...lanes.keys()], turns);
      const lane = lanes.get(person) ?? [];
      while (lane.length > 0) {
        if (!serve(lane.shift() as Entry)) continue;
        turns.set(person, ++clock);
        break;
      }
      if (lane.length === 0) lanes.delete(person);
    }
  }
}

const priorityOf = ({ request }: InQueue): number => request.priority ?? 0;

/** Served longest ago; of those who never were, the one whose run came first. */
function nextPerson(people: readonly string[], turns: ReadonlyMap<string, number>): string {
  return people.reduce((first, person) => ((turns.get(person) ?? 0) < (turns.get(first) ?? 0) ? person : first));
}
