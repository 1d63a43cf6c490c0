import { EXIT_UNSEEN } from "../../../executor-host/container/port.ts";
import { ProcessEngine } from "../../../executor-host/container/process.ts";
import { engineContract } from "./engine-contract.ts";

engineContract("process", {
  engine: ({ runRoot }, healthTimeoutMs) => new ProcessEngine({ runRoot, healthTimeoutMs }),
  image: async () => "none",
  exitCodeSeenLater: () => EXIT_UNSEEN,
});
