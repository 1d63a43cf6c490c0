import { sessionSuite } from "./session-suite.ts";

sessionSuite("[S-3] a session that is evicted between any two steps", { evictBetweenSteps: true });
