/** What agents can do, in words for people. */
import type { Capability } from "#protocol/capabilities.ts";

export const CAPABILITY_TEXT: Readonly<Record<Capability, { name: string; what: string; without: string }>> = {
  humanLoop: { name: "Asks first", what: "Asks for leave before it acts", without: "May act without asking" },
  questions: { name: "Questions", what: "Asks you questions of its own", without: "May not ask questions" },
  resume: { name: "Resumes", what: "Goes on with the earlier conversation", without: "Begins anew with every prompt" },
  todos: { name: "To-dos", what: "Shows its to-do list", without: "Shows no to-do list" },
  reasoning: { name: "Reasoning", what: "Shows what it thinks", without: "Does not show what it thinks" },
  usage: { name: "Usage", what: "Says how many tokens a run took", without: "Does not count tokens" },
  images: { name: "Images", what: "Takes images with a prompt", without: "Takes text alone" },
  interrupt: { name: "Stops", what: "Can be stopped in the middle", without: "Cannot be stopped in the middle" },
};
