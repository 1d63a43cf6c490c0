/** Forks of one session in real containers, on a host that has their files already: they lie on one base, and each keeps its own. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { SnapshotsAnswer } from "#protocol/changes.ts";
import { overlayWorks } from "../../executor-host/workspace/overlay.ts";
import { ensureBaseImage } from "../support/docker-image.ts";
import { Gantry } from "../support/gantry.ts";

const FILES = 400;

let gantry: Gantry;
beforeAll(async () => {
  gantry = await Gantry.start({ GANTRY_IMAGE: await ensureBaseImage() });
}, 300_000);
afterAll(async () => await gantry?.dispose());

const ask = async (prompt: string, sessionId?: string) => {
  const run = await gantry.run({ provider: "scripted", prompt, ...(sessionId && { sessionId }) });
  expect(run.outcome, JSON.stringify(run)).toBe("succeeded");
  return run;
};
/** The session's snapshots, newest first, when its last run is in one. */
const saved = async (sessionId: string, atLeast: number) => {
  const list = async () =>
    (await gantry.json<SnapshotsAnswer>(`/api/files/snapshots?sessionId=${sessionId}`)).snapshots;
  return await vi.waitUntil(async () => ((await list()).length >= atLeast ? await list() : undefined), {
    timeout: 60_000,
    interval: 200,
  });
};
const fork = async (sessionId: string, snapshotId: string) => {
  const body = { snapshotId };
  const { session } = await gantry.json<{ session: { id: string } }>(`/api/sessions/${sessionId}/fork`, {
    method: "POST",
    body,
  });
  return session.id;
};
const stateOf = (sessionId: string) => join(gantry.stateDir, "host", "sessions", sessionId);
const layerOf = (sessionId: string) =>
  JSON.parse(readFileSync(join(stateOf(sessionId), "sync", "layer.json"), "utf8")) as { name: string; base: string };

test("[R-4.2] forks lie on one base in their containers, work in it, and are saved apart", async (context) => {
  if (!overlayWorks(join(gantry.stateDir, "host"))) return context.skip("needs root and overlay mounts");
  const files = `for i in $(seq ${FILES}); do mkdir -p lib/$((i % 20)); echo "file $i" > lib/$((i % 20))/$i.js; done`;
  const first = await ask(`bash ${files}`);
  const [newest] = await saved(first.sessionId, 1);

  const forks = [await fork(first.sessionId, newest!.id), await fork(first.sessionId, newest!.id)];
  for (const [i, sessionId] of forks.entries()) {
    const work = `bash ls lib/*/*.js | wc -l > count.txt; echo "fork ${i}" > lib/0/20.js; rm -r lib/1; mv lib/2 lib/two`;
    await ask(work, sessionId);
    await saved(sessionId, 2);
    const text = async (path: string) =>
      await (await gantry.call(`/api/files/download?sessionId=${sessionId}&path=${path}`)).text();
    expect((await text("count.txt")).trim()).toBe(String(FILES));
    expect((await text("lib/0/20.js")).trim()).toBe(`fork ${i}`);
    expect((await text("lib/two/22.js")).trim()).toBe("file 22");
    expect((await gantry.call(`/api/files/download?sessionId=${sessionId}&path=lib/1/21.js`)).status).toBe(404);
  }

  const layers = forks.map(layerOf);
  expect(layers[0]!.base).toBe(layers[1]!.base);
  expect(readdirSync(join(gantry.stateDir, "host", "bases")).filter((name) => !name.startsWith("."))).toHaveLength(1);
  // What a fork did not touch is in no folder of its own.
  for (const [i, sessionId] of forks.entries()) {
    const upper = join(stateOf(sessionId), `.workspace.layer-${layers[i]!.name}`, "upper");
    expect(existsSync(join(upper, "lib/0/20.js"))).toBe(true);
    expect(existsSync(join(upper, "lib/0/40.js"))).toBe(false);
  }
  expect(readFileSync(join(layers[0]!.base, "tree/lib/0/20.js"), "utf8").trim()).toBe("file 20");
  expect(execFileSync("cat", ["/proc/self/mountinfo"], { encoding: "utf8" })).toContain(layers[0]!.base);
}, 300_000);
