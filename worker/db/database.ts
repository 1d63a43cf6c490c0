/** D1 through drizzle. Every query of a tenant's data has the organisation in its `where`. */
import { drizzle } from "drizzle-orm/d1";
import type { Env } from "../env.ts";

export function database(env: Pick<Env, "DB">) {
  return drizzle(env.DB);
}
export type Database = ReturnType<typeof database>;
