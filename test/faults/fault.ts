/** What a fault is here, and how its trials are run and counted. */
import { Random } from "../fuzz/random.ts";

/** What one trial showed. */
export type Trial = {
  /** What was lost, doubled, out of order or wrong, in words; empty when all held. */
  violations: string[];
  /** From the fault until what it disturbed goes on, in milliseconds. */
  recoveryMs?: number;
  /** More to say in the table, summed or listed by `note` of the fault. */
  figures?: Record<string, number>;
};

/** What the trials of one fault share: a control plane, hosts, containers. */
export type Stage = {
  trial(random: Random, index: number): Promise<Trial>;
  dispose(): Promise<void>;
};

export type Form = "long" | "short";

export type Fault = {
  /** As `--only` takes it. */
  name: string;
  /** What is done and what has to hold. */
  how: string;
  /** Docker kills and starts containers; root mounts a small file system, or starts an engine of its own. */
  needs?: "docker" | "root" | "own engine";
  trials: Record<Form, number>;
  /** The longest that a recovery may take, where there is a bar. */
  recoverWithinMs?: number;
  open(form: Form): Promise<Stage>;
  /** A sentence about the figures of all trials. */
  note?(figures: readonly Record<string, number>[]): string;
};

export type Outcome = {
  fault: Fault;
  trials: number;
  seed: string;
  /** With the number of the trial, to run it again. */
  violations: string[];
  recoveriesMs: number[];
  note: string;
};

/** Runs the trials one after the other. A trial that throws is a violation, and the next one gets a fresh stage. */
export async function runFault(
  fault: Fault,
  { form, seed, trials = fault.trials[form] }: { form: Form; seed: string; trials?: number },
): Promise<Outcome> {
  const violations: string[] = [];
  const recoveriesMs: number[] = [];
  const figures: Record<string, number>[] = [];
  let stage: Stage | undefined;
  try {
    for (let index = 0; index < trials; index++) {
      try {
        stage ??= await fault.open(form);
        const trial = await stage.trial(new Random(seed, fault.name, index), index);
        violations.push(...trial.violations.map((what) => `trial ${index}: ${what}`));
        if (trial.recoveryMs !== undefined) recoveriesMs.push(trial.recoveryMs);
        if (trial.figures) figures.push(trial.figures);
      } catch (error) {
        violations.push(`trial ${index}: ${error instanceof Error ? error.message : error}`);
        const broken = stage;
        stage = undefined;
        await broken?.dispose();
      }
    }
  } finally {
    await stage?.dispose();
  }
  return { fault, trials, seed, violations, recoveriesMs, note: fault.note?.(figures) ?? "" };
}
