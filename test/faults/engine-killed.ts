/** The container engine is killed in the middle of a run and started again: an engine of the test's own. */
import { ensureBaseImage } from "../support/docker-image.ts";
import { Gantry } from "../support/gantry.ts";
import { OwnEngine } from "../support/own-engine.ts";
import type { Fault } from "./fault.ts";
import { stageOf, type Victim } from "./killed-processes.ts";

const DELTAS = 500;

export const engineKilled = killed(
  "engine-killed",
  [],
  "failed container_failed",
  "SIGKILL of dockerd, which its supervisor starts again: as it comes up it ends the containers it finds, so what was said stays, the run ends once with container_failed, and the session's next run succeeds; recovery is until that end",
);
export const engineKilledLive = killed(
  "engine-killed-live",
  ["--live-restore"],
  "succeeded",
  "the same with dockerd's live-restore: the container runs on, the run succeeds at its first attempt; recovery is until the viewer has the next event after the kill",
);

function killed(name: string, args: string[], outcome: Victim["outcome"], how: string): Fault {
  return {
    name,
    how,
    needs: "own engine",
    trials: { long: 20, short: 0 },
    async open() {
      const engine = await OwnEngine.start(args);
      const image = await ensureBaseImage();
      engine.take(image);
      const gantry = await Gantry.start({ GANTRY_IMAGE: image, DOCKER_HOST: engine.url });
      const stage = stageOf(gantry, {
        outcome,
        deltas: DELTAS,
        async kill() {
          await engine.kill();
          await engine.start();
        },
      });
      return {
        ...stage,
        async dispose() {
          await stage.dispose();
          await engine.dispose();
        },
      };
    },
  };
}
