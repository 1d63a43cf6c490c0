/**
 * The image that workers start from: there before a host offers anything.
 *
 *   named by the operator   there ► it │ pull ► it │ ImageUnavailable
 *   not named               the default there ► it │ the local base there ► it │ pull the default ► it │ make the local base
 *
 * Two daemons may make the same local base at once: its name holds the hash of what is in it, and the engine sets a name
 * in one step. The image that lost its name is removed by whoever comes next.
 */
import { Readable } from "node:stream";
import { type LocalBase, NoLocalBase, planLocalBase } from "./local-base/plan.ts";
import { tarStream } from "./local-base/tar.ts";
import type { ImageStore } from "./port.ts";

export const DEFAULT_IMAGE = "debian:bookworm-slim";
const LOCAL_REPOSITORY = "gantry-local-base";
const LOCAL_LABEL = "gantry.local-base";

/** An image that somebody asked for is worth waiting for; the default has a stand-in. */
const NAMED_PULL_MS = 10 * 60_000;
const DEFAULT_PULL_MS = 20_000;
const MAKE_MS = 120_000;
const PROGRESS_EVERY_MS = 5_000;
/** Local bases of earlier states of this machine; younger ones may be another checkout's. */
const KEEP_LOCAL_MS = 7 * 24 * 3_600_000;

export type EnsuredImage = { image: string; note?: string };

export type ImageNeeds = {
  images: ImageStore;
  log(line: string): void;
  signal?: AbortSignal;
  defaultImage?: string;
  localRepository?: string;
  namedPullMs?: number;
};

/** There is no image; `reason` and `fix` are for people. */
export class ImageUnavailable extends Error {
  readonly fix: string;

  constructor(reason: string, fix: string) {
    super(reason);
    this.name = "ImageUnavailable";
    this.fix = fix;
  }
}

/**
 * Gives the name of an image that the engine has, after getting or making it when needed. `note`: it is not what one
 * would expect, and why.
 * @param wanted what the operator named
 * @throws ImageUnavailable, or the engine's error when it does not answer
 */
export async function ensureImage(wanted: string | undefined, needs: ImageNeeds): Promise<EnsuredImage> {
  return wanted === undefined ? await ensureAny(needs) : await ensureNamed(wanted, needs);
}

async function ensureNamed(image: string, needs: ImageNeeds): Promise<EnsuredImage> {
  if (await needs.images.has(image)) return { image };
  const failure = await pull(image, needs.namedPullMs ?? NAMED_PULL_MS, needs);
  if (failure === undefined) return { image };
  throw new ImageUnavailable(
    `The image ${image} is not on this host and could not be pulled: ${failure}`,
    `Get it with "docker pull ${image}" (after "docker login" when it is private), load or build it, or unset GANTRY_IMAGE for the default.`,
  );
}

async function ensureAny(needs: ImageNeeds): Promise<EnsuredImage> {
  const { images, defaultImage = DEFAULT_IMAGE, localRepository = LOCAL_REPOSITORY } = needs;
  if (await images.has(defaultImage)) return { image: defaultImage };
  const local = await planned();
  if (!(local instanceof NoLocalBase)) {
    const image = `${localRepository}:${local.hash}`;
    if (await images.has(image)) return { image, note: noteOn(local) };
  }
  const failure = await pull(defaultImage, DEFAULT_PULL_MS, needs);
  if (failure === undefined) return { image: defaultImage };
  needs.log(`${defaultImage} could not be pulled (${failure}); making a base image from this machine's own files`);
  const fix = `Get it with "docker pull ${defaultImage}", or load an image and name it in GANTRY_IMAGE.`;
  const reason = `The image ${defaultImage} is not on this host and could not be pulled: ${failure}`;
  if (local instanceof NoLocalBase) throw new ImageUnavailable(`${reason} ${local.message}`, fix);
  try {
    await makeLocal(local, localRepository, needs);
  } catch (error) {
    needs.signal?.throwIfAborted();
    throw new ImageUnavailable(`${reason} A local one could not be made: ${messageOf(error)}`, fix);
  }
  return { image: `${localRepository}:${local.hash}`, note: noteOn(local) };
}

async function planned(): Promise<LocalBase | NoLocalBase> {
  try {
    return await planLocalBase();
  } catch (error) {
    return error instanceof NoLocalBase ? error : new NoLocalBase(messageOf(error));
  }
}

async function makeLocal({ hash, entries }: LocalBase, repository: string, needs: ImageNeeds): Promise<void> {
  const bounded = within(MAKE_MS, needs.signal);
  const image = {
    repository,
    tag: hash,
    labels: { [LOCAL_LABEL]: repository },
    environment: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" },
  };
  await needs.images.make(image, Readable.from(tarStream(entries), { objectMode: false }), bounded);
  for (const { id, createdAtMs, names } of await needs.images.withLabel(`${LOCAL_LABEL}=${repository}`)) {
    if (names.includes(`${repository}:${hash}`)) continue;
    if (names.length === 0 || createdAtMs < Date.now() - KEEP_LOCAL_MS) await needs.images.removeUnused(id);
  }
}

/** Gives why it failed. @throws the signal's reason */
async function pull(image: string, limitMs: number, { images, log, signal }: ImageNeeds): Promise<string | undefined> {
  const bounded = within(limitMs, signal);
  let saidAt = Date.now();
  log(`pulling ${image}`);
  try {
    await images.pull(
      image,
      (line) => {
        if (Date.now() - saidAt < PROGRESS_EVERY_MS) return;
        saidAt = Date.now();
        log(`pulling ${image}: ${line}`);
      },
      bounded,
    );
    return undefined;
  } catch (error) {
    signal?.throwIfAborted();
    return bounded.aborted ? `it was not complete after ${limitMs / 1000} s.` : sentence(messageOf(error));
  }
}

function within(limitMs: number, signal: AbortSignal | undefined): AbortSignal {
  const limit = AbortSignal.timeout(limitMs);
  return signal === undefined ? limit : AbortSignal.any([signal, limit]);
}

function noteOn({ missing }: LocalBase): string {
  const without = missing.length === 0 ? "" : ` It has no ${missing.join(", ")}, as this machine has none.`;
  return `Workers start from an image that was made from this machine's own files.${without} Name another in GANTRY_IMAGE.`;
}

function sentence(text: string): string {
  // What the client puts before the engine's words says nothing to people.
  const trimmed = text.replace(/^\(HTTP code \d+\) [a-z ]+ - /, "").trim();
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
