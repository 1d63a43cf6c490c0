/** The store of the session that is open, shared by all parts of the page and kept a moment after the last one left. */
import { useEffect, useSyncExternalStore } from "react";
import { browserOutbox } from "./outbox.ts";
import type { LinkSocket } from "./session-link.ts";
import { type SessionSnapshot, SessionStore } from "./session-store.ts";

const LINGER_MS = 3_000;
const open = new Map<string, { store: SessionStore; users: number; leave?: number }>();

export function sessionStore(sessionId: string): SessionStore {
  const known = open.get(sessionId);
  if (known) return known.store;
  const store = new SessionStore(sessionId, {
    open: (path) => new WebSocket(new URL(path, location.origin.replace(/^http/, "ws"))) as LinkSocket,
    now: Date.now,
    random: Math.random,
    after(ms, what) {
      const timer = setTimeout(what, ms);
      return () => clearTimeout(timer);
    },
    soon,
    outbox: browserOutbox(sessionId),
  });
  open.set(sessionId, { store, users: 0 });
  return store;
}

/** With the next frame; a hidden page gets none, but its title and badges go on. */
function soon(what: () => void): void {
  let timer = 0;
  const frame = requestAnimationFrame(() => {
    clearTimeout(timer);
    what();
  });
  timer = window.setTimeout(() => {
    cancelAnimationFrame(frame);
    what();
  }, 200);
}

function acquire(sessionId: string): () => void {
  const store = sessionStore(sessionId);
  const entry = open.get(sessionId);
  if (!entry) throw new Error(`no store for ${sessionId}`);
  clearTimeout(entry.leave);
  entry.users += 1;
  store.start();
  return () => {
    entry.users -= 1;
    if (entry.users > 0) return;
    entry.leave = window.setTimeout(() => {
      store.stop();
      open.delete(sessionId);
    }, LINGER_MS);
  };
}

export function useSession(sessionId: string): { store: SessionStore; session: SessionSnapshot } {
  const store = sessionStore(sessionId);
  const session = useSyncExternalStore(store.subscribe, store.getSnapshot);
  useEffect(() => acquire(sessionId), [sessionId]);
  return { store, session };
}

/** Whoever comes back to the page or to the network does not wait for a timer. */
export function reconnectOnReturn(): void {
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) for (const { store } of open.values()) store.retryNow();
  });
  addEventListener("online", () => {
    for (const { store } of open.values()) store.reconnect();
  });
}
