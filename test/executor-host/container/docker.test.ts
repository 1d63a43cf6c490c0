import { DockerEngine } from "../../../executor-host/container/docker.ts";
import { ensureBaseImage } from "../../support/docker-image.ts";
import { engineContract } from "./engine-contract.ts";

engineContract("docker", {
  engine: (_folders, healthTimeoutMs) => new DockerEngine({ healthTimeoutMs }),
  image: ensureBaseImage,
  exitCodeSeenLater: (exitCode) => exitCode,
});
