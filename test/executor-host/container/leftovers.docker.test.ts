/** What daemons that died leave behind, and what is not theirs: told apart by label and state, with the real engine. */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { containerName } from "../../../executor-host/container/container-spec.ts";
import { DockerEngine } from "../../../executor-host/container/docker.ts";
import { labelsOf } from "../../../executor-host/container/labels.ts";
import type { WorkerSpec } from "../../../executor-host/container/port.ts";
import { ensureBaseImage } from "../../support/docker-image.ts";
import { StubFolders } from "../../support/stub-toolkit.ts";

const docker = async (...args: string[]) => (await promisify(execFile)("docker", args)).stdout.trim();

describe("leftovers", () => {
  const installationId = `test-${randomUUID()}`;
  const engine = new DockerEngine();
  let folders: StubFolders;
  let image: string;
  const made: string[] = [];

  beforeAll(async () => {
    image = await ensureBaseImage();
    folders = await StubFolders.make();
  }, 600_000);
  afterAll(async () => {
    for (const worker of await engine.find(installationId)) await engine.remove(worker, 0);
    await engine.reap(installationId);
    if (made.length > 0) await docker("rm", "-f", ...made).catch(() => "some are gone already, as they should be");
    await folders?.remove();
  });

  const create = async (labels: Record<string, string>, name: string, ...command: string[]): Promise<string> => {
    const flags = Object.entries(labels).flatMap(([label, value]) => ["--label", `${label}=${value}`]);
    const id = await docker("create", "--network", "none", "--name", name, ...flags, image, ...command);
    made.push(id);
    return id;
  };
  const there = async () => (await docker("ps", "-aq", "--no-trunc")).split("\n");
  const nameOf = (spec: WorkerSpec) => containerName(installationId, spec.sessionId);

  test("a container that was created and never started makes room for its session's next worker", async () => {
    const spec = await folders.spec(installationId, image);
    const left = await create(labelsOf(spec), nameOf(spec), "true");
    expect(await engine.reap(installationId)).toEqual({ removed: [] });
    const worker = await engine.start(spec);
    expect(await there()).not.toContain(left);
    expect(await there()).toContain(worker.id);
  });

  test("a stranger that bears the name is not touched, and is named in the refusal", async () => {
    const spec = await folders.spec(installationId, image);
    const stranger = await create({}, nameOf(spec), "true");
    const error = await engine.start(spec).catch((caught) => caught);
    expect(error.evidence).toContain(stranger.slice(0, 12));
    expect(await there()).toContain(stranger);
  });

  test("dead containers with other labels stay, whatever they look like", async () => {
    const ours = await folders.spec(installationId, image);
    const almost: Record<string, string>[] = [
      {},
      { "gantry.session": ours.sessionId },
      { "gantry.installation": installationId },
      { ...labelsOf(ours), "gantry.installation": `${installationId}x` },
      { ...labelsOf(ours), "gantry.installation": installationId.slice(0, -1) },
    ];
    const strangers: string[] = [];
    for (const labels of almost) {
      const id = await create(labels, `gantry-test-${randomUUID()}`, "true");
      await docker("start", "-a", id);
      strangers.push(id);
    }
    const dead = await create(labelsOf(ours), nameOf(ours), "true");
    await docker("start", "-a", dead);

    expect(await engine.reap(installationId)).toEqual({ removed: [dead] });
    expect(await there()).toEqual(expect.arrayContaining(strangers));
  });

  test("a paused worker is alive: found, not reaped, and removed when asked to", async () => {
    const worker = await engine.start(await folders.spec(installationId, image));
    await docker("pause", worker.id);
    expect(await engine.find(installationId)).toContainEqual(worker);
    expect((await engine.reap(installationId)).removed).not.toContain(worker.id);
    await engine.remove(worker, 0);
    expect(await there()).not.toContain(worker.id);
  });
});
