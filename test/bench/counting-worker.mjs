/**
 * A counter around the storage of Gantry's sessions, put around the built Worker at bench time (count-storage.ts);
 * nothing of it is deployed.
 *
 *   GET /bench/storage?session=<organization>/<session>  →  { rowsWritten, alarmsSet }
 */
const DOOR = "/bench/storage";

/** The session's class, counting what its statements write. */
export function counting(SessionBase) {
  return class SessionObject extends SessionBase {
    constructor(ctx, env) {
      const counted = { rowsWritten: 0, alarmsSet: 0 };
      const { storage } = ctx;
      const exec = storage.sql.exec.bind(storage.sql);
      storage.sql.exec = (...args) => {
        const cursor = exec(...args);
        counted.rowsWritten += cursor.rowsWritten;
        return cursor;
      };
      const setAlarm = storage.setAlarm.bind(storage);
      storage.setAlarm = (...args) => {
        counted.alarmsSet++;
        return setAlarm(...args);
      };
      super(ctx, env);
      this.counted = counted;
    }

    fetch(request) {
      if (new URL(request.url).pathname === DOOR) return Response.json(this.counted);
      return super.fetch(request);
    }
  };
}

/** The Worker's handlers, with the door to the counter beside them. */
export function withDoor(handlers) {
  return {
    ...handlers,
    fetch(request, env, ctx) {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === DOOR) return env.SESSION.getByName(searchParams.get("session")).fetch(request);
      return handlers.fetch(request, env, ctx);
    },
  };
}
