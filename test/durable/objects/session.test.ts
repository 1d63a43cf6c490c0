import { sessionSuite } from "./session-suite.ts";

sessionSuite("a session", { evictBetweenSteps: false });
