/**
 * Loaded into the local host before its own code: when `npm start` is gone without having been able to end it, the host
 * leaves in good order, as on SIGTERM. A host that an operator runs elsewhere has no such parent.
 */
process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
// Listening alone must not keep a command alive that has done its work (`host join`).
process.channel?.unref();
