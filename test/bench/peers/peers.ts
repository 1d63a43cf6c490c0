/** Other queues, driven as Gantry's is: one run is asked for and a worker has it; a thousand wait and four workers take them. */
import { randomUUID } from "node:crypto";
import { performance } from "node:perf_hooks";
import { type Packages, peerPackages } from "./packages.ts";
import { startPostgres, startRedis } from "./servers.ts";

export type Peer = {
  name: string;
  /** Milliseconds from asking until a waiting worker has the job. */
  dispatch(): Promise<number>;
  /** Jobs per second: they wait first, then so many workers come, each with so many at once. */
  drain(load: { jobs: number; workers: number; each: number }): Promise<{ rate: number; violations: number }>;
  stop(): Promise<void>;
};

/** Who takes jobs, and hears of those that were asked for. */
class Taken {
  readonly #waiting = new Map<string, (at: number) => void>();
  readonly times = new Map<string, number>();

  take(id: string): void {
    this.times.set(id, (this.times.get(id) ?? 0) + 1);
    this.#waiting.get(id)?.(performance.now());
    this.#waiting.delete(id);
  }

  when(id: string): Promise<number> {
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }
}

type Queue = {
  add(id: string): Promise<unknown>;
  /** A worker that tells `taken` of each job. */
  worker(taken: Taken, each: number): Promise<() => Promise<void>>;
  close(): Promise<void>;
};

/** Those for which there is a server here; says in one line which are not. */
export async function startPeers(): Promise<Peer[]> {
  const packages = await peerPackages();
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  if (!redis) console.error("no redis-server here (apt-get install redis-server): BullMQ is left out");
  if (!postgres) console.error("no PostgreSQL here (apt-get install postgresql): graphile-worker is left out");
  const peers: Peer[] = [];
  if (redis) {
    const name = `BullMQ ${packages.versions.bullmq} on Redis ${redis.version}, appendfsync always`;
    peers.push(await peer(name, (at) => bullMq(packages, redis.socket, at), redis.stop));
  }
  if (postgres) {
    const name = `graphile-worker ${packages.versions["graphile-worker"]} on PostgreSQL ${postgres.version}`;
    peers.push(await peer(name, (at) => graphile(packages, postgres.socket, at), postgres.stop));
  }
  return peers;
}

/** @param open the queue of that name */
async function peer(name: string, open: (at: string) => Promise<Queue>, stop: () => Promise<void>): Promise<Peer> {
  const taken = new Taken();
  const queue = await open("dispatch");
  const leave = await queue.worker(taken, 1);
  return {
    name,
    async dispatch() {
      const id = randomUUID();
      const began = performance.now();
      const has = taken.when(id);
      await queue.add(id);
      return (await has) - began;
    },
    async drain({ jobs, workers, each }) {
      const draining = await open("drain");
      const seen = new Taken();
      const ids = Array.from({ length: jobs }, () => randomUUID());
      await Promise.all(ids.map((id) => draining.add(id)));
      const all = Promise.all(ids.map((id) => seen.when(id)));
      const began = performance.now();
      const leaving = await Promise.all(Array.from({ length: workers }, () => draining.worker(seen, each)));
      await all;
      const rate = jobs / ((performance.now() - began) / 1_000);
      for (const leaveThis of leaving) await leaveThis();
      await draining.close();
      const twice = [...seen.times.values()].filter((times) => times > 1).length;
      return { rate, violations: twice + jobs - seen.times.size };
    },
    async stop() {
      await leave();
      await queue.close();
      await stop();
    },
  };
}

async function bullMq({ bullmq }: Packages, socket: string, name: string): Promise<Queue> {
  const connection = { path: socket, maxRetriesPerRequest: null };
  const queue = new bullmq.Queue(name, { connection });
  await queue.waitUntilReady();
  return {
    add: (id) => queue.add("run", { id }),
    async worker(taken, concurrency) {
      const worker = new bullmq.Worker(name, async ({ data }) => taken.take(data.id), { connection, concurrency });
      worker.on("error", () => undefined);
      await worker.waitUntilReady();
      return () => worker.close();
    },
    close: () => queue.close(),
  };
}

/** Jobs of every name lie in one table; the name of the task tells them apart. */
async function graphile({ graphile: worker }: Packages, socket: string, name: string): Promise<Queue> {
  const connectionString = `postgres://bench@/postgres?host=${encodeURIComponent(socket)}`;
  const logger = new worker.Logger(() => () => undefined);
  const utils = await worker.makeWorkerUtils({ connectionString, logger });
  await utils.migrate();
  return {
    add: (id) => utils.addJob(name, { id }),
    async worker(taken, concurrency) {
      const taskList = { [name]: async (payload: { id: string }) => taken.take(payload.id) };
      const runner = await worker.run({ connectionString, logger, concurrency, taskList, noHandleSignals: true });
      return () => runner.stop();
    },
    close: () => utils.release(),
  };
}
