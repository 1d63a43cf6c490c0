/** Which store this Worker has. The S3 client is loaded on the first request that needs it, never on R2. */
import type { Env } from "../env.ts";
import type { ObjectStore } from "./object-store.ts";
import { r2Store } from "./r2.ts";
import { type S3Settings, s3Settings } from "./s3-settings.ts";

/** One for an isolate: it keeps the derived signing key. The settings are the same as long as the isolate lives. */
let opened: { settings: S3Settings; store: Promise<ObjectStore> } | undefined;

/** @throws Error for settings that `requireSecrets` would have refused */
export async function openStore(env: Pick<Env, "STORE"> & Partial<Env>): Promise<ObjectStore> {
  const settings = s3Settings(env);
  if (settings === undefined) return r2Store(env.STORE);
  if ("ok" in settings) throw new Error(settings.message);
  if (opened === undefined || JSON.stringify(opened.settings) !== JSON.stringify(settings)) {
    opened = { settings, store: import("./s3.ts").then(({ s3Store }) => s3Store(settings)) };
  }
  return opened.store;
}
