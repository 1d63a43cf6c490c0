/** First prompts that show what an agent here can do: each writes something that can be looked at afterwards. */
export const EXAMPLES = [
  {
    title: "Build something small",
    prompt:
      "Write a small web page with a clock that shows the time in Tokyo, Nairobi and Lima. One file, no libraries.",
  },
  {
    title: "Analyse data",
    prompt: "Make a CSV file with a year of invented daily temperatures, then a short report with the warmest weeks.",
  },
  {
    title: "Explain a repository",
    prompt: "Clone a repository that I name, find out how its tests are run, run them, and tell me what fails and why.",
  },
] as const;
